// How the operator's own server takes part: what it asks for, what it is told, whom it lets in.
import { byId, h } from '../dom.js';
import { say } from '../i18n.js';
import { number } from '../numbers.js';
import { renewAll } from '../rows.js';

/** Shows it, or nothing if no server takes part. */
export function showServer({ api, webhook }) {
  byId('server').hidden = !api.on && !webhook.news && !webhook.asks;
  renewAll(byId('server-counts'), [
    ...counts(api.on, api, ['served', 'failed', 'wrong']),
    ...counts(webhook.news, webhook, ['delivered', 'waiting', 'lost', 'failures']),
    ...counts(webhook.asks, webhook, ['admitted', 'refused', 'unanswered']),
  ]);
  byId('server-problem').hidden = !webhook.problem;
  if (webhook.problem) say(byId('server-problem'), 'admin.server.problem', { why: webhook.problem });
}

function counts(shown, table, names) {
  return (shown ? names : []).map((name) =>
    h('div', {}, h('dt', { t: `admin.server.${name}` }), h('dd', { class: 'numeric' }, number(table[name]))));
}
