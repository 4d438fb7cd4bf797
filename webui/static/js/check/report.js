// The run as data, to be attached to a bug report. No credentials: neither passwords nor the user
// names that go with them.
import { t } from '../i18n.js';
import { version } from '../origin.js';

export function makeReport({ started, signaling, carrier, judged, relay, reach, verdict }) {
  return {
    version,
    at: new Date(started).toISOString(),
    tookMs: Math.round(Date.now() - started),
    page: location.origin,
    userAgent: navigator.userAgent,
    signaling: signaling ?? 'ok',
    carrier,
    ...inWords(verdict),
    servers: judged.map(({ server, verdict: own, result, loop }) => ({
      url: server.url,
      origin: server.origin,
      credential: server.credential ? 'redacted' : undefined,
      ...inWords(own),
      code: result.code,
      firstCandidateMs: result.ms || null,
      relayRoundTripsMs: loop?.rtts,
      candidates: result.candidates.map(({ url, ...rest }) => rest),
      errors: result.errors,
    })),
    relayTest: inWords(relay),
    reachTest: inWords(reach),
  };
}

function inWords({ verdict, words, fix, params }) {
  return { verdict, reason: words, text: t(words, params), fix: fix ? t(fix, params) : undefined };
}
