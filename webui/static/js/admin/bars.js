// How much is used of what there is: relay ports, the month's transfer, and the certificate's days.
import { byId, h } from '../dom.js';
import { t } from '../i18n.js';
import { bytes, number, rate } from '../numbers.js';
import { renewAll } from '../rows.js';

const DAY_MS = 86_400_000;
const FULL = 0.9; // from which on it is said in color

/** Shows a bar for each thing that has an end. */
export function showBars({ status: { turn, certificate }, limits }) {
  const bars = turn.relayPorts.map(({ family, inUse, total }) =>
    bar('admin.bar.ports', { family: family.replace('ipv', 'IPv') }, inUse, total, number));
  if (turn.transferLimit > 0) bars.push(bar('admin.bar.transfer', {}, turn.transfer.bytes, turn.transferLimit, bytes));
  for (const { key, used, max } of limits) {
    bars.push(bar(`admin.bar.${key}`, {}, used, max, key === 'turn.limits.total_bandwidth' ? rate : number));
  }
  if (certificate) bars.push(certificateItem(certificate));
  renewAll(byId('bars'), bars);
}

function bar(key, params, used, all, words) {
  const meter = h('meter', { min: 0, max: 1, high: FULL, optimum: 0, value: used / all, 'aria-hidden': 'true' });
  return h('li', {}, h('span', { class: 'small muted', t: key, params }), meter,
    h('span', { class: 'numeric' }, `${words(used)} / ${words(all)}`));
}

function certificateItem({ mode, names, notAfter, pending, due, problem }) {
  const days = Math.floor((notAfter - Date.now()) / DAY_MS);
  const left = days < 0 ? 'over' : days === 1 ? 'day' : 'days';
  let note = {};
  if (pending) note = { t: 'admin.certificate.pending' };
  else if (due) note = { t: 'admin.certificate.due' };
  else if (problem) note = { t: 'admin.certificate.problem', params: { why: problem } };
  return h('li', {}, h('span', { class: 'small muted', t: 'admin.certificate' }),
    h('span', { class: problem ? 'problem' : '', t: `admin.certificate.${left}`,
      params: { days: number(days), mode: () => t(`admin.certificate.by.${mode}`) } }),
    h('span', { class: 'small muted names', ...note }, note.t ? null : names.join(', ')));
}
