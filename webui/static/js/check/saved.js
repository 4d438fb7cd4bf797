// A report as it is handed on, and as it comes back from elsewhere.
import { factsOf } from './facts.js';
import { median } from './relay.js';

const ADDRESSES = /\b\d{1,3}(\.\d{1,3}){3}\b|(?<![\w:])(?=[\da-f:]*:[\da-f:]*:)[\da-f:]+(\.\d{1,3}){0,4}(?![\w:])/gi;

/** The same without the addresses in it; those of the page's own origin go, too. */
export function withoutAddresses(report) {
  const hide = (value) => {
    if (typeof value === 'string' && value !== report.at && value !== report.userAgent) {
      return value.replace(ADDRESSES, '(address)');
    }
    if (Array.isArray(value)) return value.map(hide);
    if (!value || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, hide(inner)]));
  };
  return hide(report);
}

const VERDICTS = ['good', 'warn', 'bad', 'unknown'];

/** A report that was saved, as far as the page shows it, or null: a file may hold anything. */
export function readReport(text) {
  try {
    const report = JSON.parse(text);
    if (!readVerdict(report) || !Array.isArray(report.servers)) return null;
    return { ...report, at: String(report.at ?? ''), page: String(report.page ?? '') };
  } catch {
    return null;
  }
}

/** What a server in a report was measured at, as factsOf has it. */
export function readFacts({ candidates, firstCandidateMs, relayRoundTripsMs, relayFlow }) {
  const list = (value) => (Array.isArray(value) ? value : []);
  const number = (value) => (Number.isFinite(value) ? value : 0);
  const result = {
    candidates: list(candidates).filter(Boolean).map((each) => ({
      ...each, address: String(each.address ?? ''), relatedAddress: String(each.relatedAddress ?? ''),
    })),
    ms: number(firstCandidateMs),
  };
  const rtts = list(relayRoundTripsMs).map(number);
  const flow = relayFlow ? { kbit: number(relayFlow.kbit), loss: number(relayFlow.loss) } : null;
  return factsOf(result, { ok: rtts.length > 0, median: median(rtts), flow });
}

/** A verdict in a report, in its own words; null: there is none. */
export function readVerdict(part) {
  if (!VERDICTS.includes(part?.verdict)) return null;
  const line = (words) => (words ? { words: 'report.text', params: { text: String(words) } } : {});
  const { words, params } = line(part.text);
  const also = [part.fix, ...(Array.isArray(part.also) ? part.also : [])].filter(Boolean).map(line);
  return { verdict: part.verdict, words, params, also };
}
