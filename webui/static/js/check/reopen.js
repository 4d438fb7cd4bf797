// A report that was saved, in the place of a run. Loaded only when somebody opens one.
import { byId } from '../dom.js';
import { locale, say } from '../i18n.js';
import { MAX_BYTES, readParts, readReport } from './opened.js';
import { addCandidate, addError, begin, setRunning, showCount, showRefusals, showVerdict } from './view.js';

/** The report in a file, or null. */
export async function readFile(file) {
  return file?.size <= MAX_BYTES ? readReport(await file.text().catch(() => '')) : null;
}

/** Shows it in the words and the language of its run. */
export function showReport(report) {
  const { at, page, verdict: whole, servers: parts, tests, refusals } = readParts(report);
  const rows = begin(parts.map(({ server }) => server));
  for (const { server, verdict, facts, box, candidates, errors } of parts) {
    const row = rows.get(server);
    row.show(verdict, { facts });
    const [fix] = verdict.also;
    if (fix) say(row.fix, fix.words, fix.params);
    if (box) row.showBox(box);
    candidates.forEach(addCandidate);
    for (const error of errors) addError(server, error, error.harmless);
  }
  const ofTheBox = parts.filter(({ server }) => server.origin === 'box');
  showCount(ofTheBox.map(({ verdict }) => verdict.verdict), parts.length > 0);
  for (const [id, verdict] of Object.entries(tests)) {
    showVerdict(byId(id), verdict ?? { verdict: 'unknown', words: 'test.broken' });
  }
  showRefusals(refusals);
  showVerdict(byId('verdict'), whole);
  setRunning(false);
  const date = new Date(at);
  const when = () => (isNaN(date) ? at : date.toLocaleString(locale()));
  say(byId('report-said'), 'report.opened', { page, at: when });
}
