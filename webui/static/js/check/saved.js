// A report as it is handed on, and what of one comes from elsewhere.
const MAX_ITEMS = 100; // of a list
const MAX_TEXT = 1000;

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

/** A verdict in a report, in its own words; null: there is none. */
export function readVerdict(part) {
  if (!VERDICTS.includes(part?.verdict)) return null;
  const { words, params } = part.text ? quoted(part.text) : {};
  return { verdict: part.verdict, words, params, also: [part.fix, ...listed(part.also)].filter(Boolean).map(quoted) };
}

/** What comes from elsewhere, as a line of its own. */
export function quoted(value) {
  return { words: 'report.text', params: { text: textOf(value) } };
}

/** What comes from elsewhere, as text: what is none, as it is written in JSON; nothing is ''. */
export function textOf(value) {
  if (value === undefined || value === null) return '';
  const text = typeof value === 'string' ? value : written(value);
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)} …` : text;
}

function written(value) {
  try {
    return JSON.stringify(value);
  } catch {
    return '…'; // it is nested too deep
  }
}

/** A list, as far as it is one. */
export const listed = (value) => (Array.isArray(value) ? value.slice(0, MAX_ITEMS) : []);
