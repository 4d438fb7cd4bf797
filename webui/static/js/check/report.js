// The run as data, to be attached to a bug report. No credentials: neither passwords nor the user
// names that go with them.
import { t } from '../i18n.js';
import { version } from '../origin.js';

export function makeReport({ started, signaling, carrier, judged, relay, reach, nat, refusals, verdict }) {
  return {
    version,
    at: new Date(started).toISOString(),
    tookMs: Math.round(Date.now() - started),
    page: location.origin,
    userAgent: navigator.userAgent,
    signaling: signaling ?? 'ok',
    carrier,
    ...inWords(verdict),
    params: verdict.params, // of the reason, for another language
    servers: judged.map(({ server, verdict: own, result, loop, box, sightings }) => ({
      url: server.url,
      family: server.family,
      origin: server.origin,
      credential: server.credential ? 'redacted' : undefined,
      ...inWords(own),
      code: result.code,
      firstCandidateMs: result.ms || null,
      box: box?.lines.map((line) => t(line.words, line.params)),
      sightings: sightings?.map(({ user, ...rest }) => rest),
      relayRoundTripsMs: loop?.rtts,
      relayFlow: loop?.flow,
      candidates: result.candidates.map(({ url, ...rest }) => rest),
      errors: [...result.errors, ...(loop?.errors ?? [])],
    })),
    relayTest: inWords(relay),
    reachTest: inWords(reach),
    natTest: inWords(nat),
    refusals: refusals.map(({ name, verdict: own }) => ({ name, ...inWords(own) })),
  };
}

/** A verdict as it is in a report: in the words of the page's language. */
export function inWords({ verdict, words, fix, params, also = [] }) {
  return {
    verdict,
    reason: words,
    text: t(words, params),
    fix: fix ? t(fix, params) : undefined,
    also: also.length ? also.map(({ line, words: key, params: its }) => line ?? t(key, its)) : undefined,
  };
}
