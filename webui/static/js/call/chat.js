// Text chat: the log, the field, and how many messages wait to be read.
import { byId, h } from '../dom.js';
import { label, locale, say } from '../i18n.js';

const KEPT = 500; // messages in the page; older ones go
const TEXT_MAX = 2000; // code points of one message

export class Chat {
  #unread = 0;

  /** `onsend(text)` is called for what the visitor writes. */
  constructor({ onsend }) {
    this.panel = byId('chat');
    this.log = byId('chat-log');
    this.toggle = byId('chat-toggle');
    this.toggle.addEventListener('click', () => this.show(this.panel.hidden));
    byId('chat-close').addEventListener('click', () => this.show(false));
    this.panel.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.show(false);
    });
    byId('chat-form').addEventListener('submit', (event) => {
      event.preventDefault();
      const input = byId('chat-input');
      const text = input.value.trim();
      if (!text) return;
      const count = [...text].length;
      say(byId('chat-problem'), count > TEXT_MAX ? 'chat.long' : '', { count });
      if (count > TEXT_MAX) return;
      onsend(text);
      input.value = '';
    });
  }

  show(open) {
    const wasOpen = !this.panel.hidden;
    this.panel.hidden = !open;
    this.toggle.setAttribute('aria-expanded', String(open));
    if (open) {
      this.#setUnread(0);
      byId('chat-input').focus();
      this.log.scrollTop = this.log.scrollHeight;
    } else if (wasOpen) {
      this.toggle.focus();
    }
  }

  /** `note` is the key of what is said beneath. */
  add(name, text, { own = false, note = null } = {}) {
    const time = new Date().toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit' });
    this.log.append(h('div', { class: own ? 'own' : '' },
      h('span', { class: 'chat-who small muted' }, `${name} · ${time}`),
      h('span', { class: 'chat-text', dir: 'auto' }, [...text].slice(0, TEXT_MAX).join('')),
      note && h('span', { class: 'small muted', t: note })));
    while (this.log.childElementCount > KEPT) this.log.firstElementChild.remove();
    this.log.scrollTop = this.log.scrollHeight;
    if (this.panel.hidden && !own) this.#setUnread(this.#unread + 1);
  }

  clear() {
    this.log.replaceChildren();
    say(byId('chat-problem'), '');
    this.#setUnread(0);
    this.show(false);
  }

  #setUnread(count) {
    this.#unread = count;
    const badge = byId('chat-unread');
    badge.hidden = count === 0;
    badge.textContent = count > 9 ? '9+' : String(count);
    label(this.toggle, count ? 'chat.unread' : 'chat', { count });
  }
}
