// What the page takes from a report that was saved. A file may hold anything: nothing of it is more
// than a text, a number, or one of a few words, and of nothing there is too much.
import { factsOf } from './facts.js';
import { median } from './relay.js';
import { listed, quoted, readVerdict, textOf, withoutAddresses } from './saved.js';
import { describe } from './servers.js';
import { works } from './verdict.js';

/** Of a file: far more than any report has. */
export const MAX_BYTES = 4_000_000;

/** A report that was saved, as far as the page shows it, or null: a file may hold anything. */
export function readReport(text) {
  try {
    const report = JSON.parse(text);
    if (text.length > MAX_BYTES || !readVerdict(report) || !Array.isArray(report.servers)) return null;
    JSON.stringify(withoutAddresses(report)); // what is nested too deep for it can't be handed on, either
    return { ...report, at: textOf(report.at), page: textOf(report.page) };
  } catch {
    return null;
  }
}

/** What the page shows of a report; `tests` are verdicts by the ids of their elements. */
export function readParts(report) {
  return {
    at: report.at,
    page: report.page,
    verdict: readVerdict(report),
    servers: readServers(report),
    tests: {
      'relay-test': readVerdict(report.relayTest),
      'reach-test': readVerdict(report.reachTest),
      'nat-test': readVerdict(report.natTest),
    },
    refusals: readRefusals(report),
  };
}

/** Its servers: [{server, verdict, facts, box, candidates, errors}]. */
function readServers({ servers }) {
  return objects(servers).flatMap((part) => {
    const verdict = readVerdict(part);
    if (!verdict) return [];
    const url = textOf(part.url);
    const origin = part.origin === 'own' ? 'own' : 'box';
    const family = [4, 6].find((each) => each === part.family);
    return [{
      server: { url, origin, family, ...describe(url) },
      verdict,
      facts: readFacts(part),
      box: Array.isArray(part.box) ? { arrow: '', lines: listed(part.box).map(quoted) } : null,
      candidates: readCandidates(part.candidates, url),
      errors: objects(part.errors).map(({ code, text, ms }) => ({
        code: textOf(code), text: textOf(text), ms: numberOf(ms), harmless: works(part.verdict),
      })),
    }];
  });
}

/** What it had to refuse: [{name, verdict}]. */
function readRefusals({ refusals }) {
  return objects(refusals).map((part) => ({ name: textOf(part.name), verdict: readVerdict(part) }))
    .filter(({ verdict }) => verdict);
}

/** What a server in a report was measured at, as factsOf has it. */
export function readFacts({ candidates, firstCandidateMs, relayRoundTripsMs, relayFlow }) {
  const result = { candidates: readCandidates(candidates), ms: numberOf(firstCandidateMs) };
  const rtts = listed(relayRoundTripsMs).map(numberOf);
  const flow = relayFlow ? { kbit: numberOf(relayFlow.kbit), loss: numberOf(relayFlow.loss) } : null;
  return factsOf(result, { ok: rtts.length > 0, median: median(rtts), flow });
}

function readCandidates(candidates, url) {
  return objects(candidates).map(({ type, protocol, relayProtocol, address, port, priority, ms, ...each }) => ({
    ms: numberOf(ms),
    type: textOf(type),
    protocol: textOf(protocol),
    relayProtocol: textOf(relayProtocol),
    address: textOf(address),
    port: textOf(port),
    priority: numberOf(priority),
    relatedAddress: textOf(each.relatedAddress),
    relatedPort: textOf(each.relatedPort),
    url,
  }));
}

const numberOf = (value) => (Number.isFinite(value) ? value : 0);
const objects = (value) => listed(value).filter((each) => each && typeof each === 'object');
