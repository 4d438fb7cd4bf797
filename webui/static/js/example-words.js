// What /example says, in the reader's language: its own script, which is there to be copied, knows
// codes and the SDK's English only.
import { byId } from './dom.js';
import { known, say, start } from './i18n.js';

const status = byId('status');

start();
new MutationObserver(() => {
  const { code } = status.dataset;
  say(status, code && keyOf(code), { code });
}).observe(status, { attributeFilter: ['data-code'] });

// States of the session, codes of the SDK, and names of what the browser throws.
function keyOf(code) {
  if (code === 'SecurityError') return 'example.insecure';
  if (/^[A-Z]/.test(code)) return 'example.device';
  return [`example.state.${code}`, `end.${code}`].find(known) ?? 'end.other';
}
