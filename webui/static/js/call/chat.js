// Text chat: the log, the field, and how many messages wait to be read.
import { byId, h } from '../dom.js';
import { label, locale, say } from '../i18n.js';

const GROUP_MS = 180_000; // within which a name need not be said again
// What people write after an address, as in a sentence, is no part of it.
const LINK = /https?:\/\/[^\s<>"'，。；：！？）】」]*[^\s<>"'，。；：！？）】」.,;:!?)\]}]/giu;
const KEPT = 500; // messages in the page; older ones go
const TEXT_MAX = 2000; // code points of one message

export class Chat {
  #unread = 0;
  #last = null; // {from, at}: who has written last, and when

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

  /**
   * `from` is the id of the peer who has written it, null: the visitor. Several may have one name.
   * `note` is the key of what is said beneath.
   */
  add(name, text, { from = null, note = null } = {}) {
    const own = from === null;
    const at = Date.now();
    const isNext = this.#last?.from === from && at < this.#last.at + GROUP_MS;
    this.#last = { from, at };
    const time = new Date(at).toLocaleTimeString(locale(), { hour: '2-digit', minute: '2-digit' });
    this.#append(h('div', { class: own ? 'own' : '' },
      // A list that is read out says of each who wrote it.
      h('span', { class: isNext ? 'visually-hidden' : 'chat-who small muted' }, h('bdi', {}, name), ` · ${time}`),
      h('span', { class: 'chat-text', dir: 'auto' }, ...linked([...text].slice(0, TEXT_MAX).join(''))),
      note && h('span', { class: 'small muted', t: note })));
    if (this.panel.hidden && !own) this.#setUnread(this.#unread + 1);
  }

  /** Says something in the log that nobody has written. */
  remark(key) {
    this.#last = null;
    this.#append(h('p', { class: 'small muted', t: key }));
  }

  #append(element) {
    this.log.append(element);
    while (this.log.childElementCount > KEPT) this.log.firstElementChild.remove();
    this.log.scrollTop = this.log.scrollHeight;
  }

  clear() {
    this.log.replaceChildren();
    this.#last = null;
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

// A text in pieces, in which addresses are links.
function linked(text) {
  const pieces = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(LINK)) {
    const address = balanced(found, text.slice(index + found.length));
    if (!URL.canParse?.(address)) continue;
    pieces.push(text.slice(end, index), h('a', { href: address, target: '_blank', rel: 'noopener' }, address));
    end = index + address.length;
  }
  return [...pieces, text.slice(end)];
}

// Brackets that an address opens are its own, as in those of an encyclopedia.
function balanced(address, rest) {
  const count = (bracket) => address.split(bracket).length;
  const [closing] = /^\)*/.exec(rest);
  return address + closing.slice(0, Math.max(0, count('(') - count(')')));
}
