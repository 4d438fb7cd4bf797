// The question before something is done to people or to the box, and what came of it.
import { byId, h } from '../dom.js';
import { known, say, t } from '../i18n.js';
import { Locked, Refused } from './api.js';

const BANS = ['member', 'allocation']; // kinds whose question has a ban
const ACTS = { member: 'kick', allocation: 'end', room: 'close', reload: 'reload', drain: 'drain' };

export class Question {
  #element = byId('kick');
  #target = null;

  constructor() {
    byId('kick-confirm').addEventListener('click', () => this.#confirm());
    byId('kick-cancel').addEventListener('click', () => this.close());
    byId('kick-ban').addEventListener('change', () => this.#showBan());
  }

  /**
   * Asks about a target: {kind, name, keptOut, request}. The kind (member, allocation, room,
   * reload, drain) decides the words; `keptOut` says whom a ban is for; `request` does it, given
   * how long to keep them out (or an empty string) and why, and resolves to what to tell.
   */
  ask(target) {
    this.#target = target;
    const { kind, name, keptOut } = target;
    say(byId('kick-title'), `kick.title.${kind}`, { name });
    say(byId('kick-what'), `kick.what.${kind}`);
    const bans = BANS.includes(kind);
    byId('kick-field').hidden = !bans;
    if (bans) {
      say(byId('kick-note'), `kick.note.${kind}`);
      say(byId('kick-ban-label'), 'kick.ban', { whom: keptOut });
    }
    say(byId('kick-confirm'), `act.${ACTS[kind]}`);
    byId('kick-ban').value = byId('kick-why').value = '';
    this.#showBan();
    byId('kick-confirm').disabled = false;
    this.#element.showModal();
    byId('kick-cancel').focus();
  }

  close() {
    this.#element.close();
  }

  // What a ban does, and what is asked of it, is for those who want one.
  #showBan() {
    byId('kick-note').hidden = byId('kick-why-field').hidden = byId('kick-ban').value === '';
  }

  async #confirm() {
    byId('kick-confirm').disabled = true;
    const target = this.#target;
    const { kind, name, request } = target;
    try {
      const ban = byId('kick-ban').value;
      tell(...await request(ban, ban ? byId('kick-why').value.trim() : ''));
    } catch (error) {
      tell(BANS.includes(kind) ? 'kick.failed' : 'act.failed', 'bad', { name, message: () => t(...why(error)) });
    }
    if (target === this.#target) this.close(); // else it asks about another one by now
  }
}

/** Why the API did not do what it was asked for, as a text's key and parameters. */
export function why(error) {
  if (error instanceof Locked) return ['admin.locked.expired'];
  if (!(error instanceof Refused)) return ['refusal.away']; // nobody has answered
  const key = `refusal.${error.code}`;
  return [known(key) ? key : 'refusal.other', { message: error.message }];
}

/** A target's request that kicks. */
export function kicked(name, request) {
  return async (ban, why) => {
    const { sessions, allocations, warning, warningCode } = await request(ban, why);
    if (warning) return ['kick.warning', 'warn', { name, message: () => warned(warningCode, warning) }];
    const gone = sessions + allocations === 0;
    return [gone ? 'kick.gone' : 'kick.done', gone ? 'warn' : 'good', { name, sessions, allocations }];
  };
}

/** A warning of the API's, in the reader's words. */
export function warned(code, message) {
  const key = `warning.${code}`;
  return known(key) ? t(key) : message;
}

/** A button that asks before it acts: `kick`, `end` or `close`. */
export function actButton(act, target, ask) {
  return h('button', { class: 'button compact acts', type: 'button', 'aria-haspopup': 'dialog',
    on: { click: () => ask(target) } },
  h('span', { t: `act.${act}` }), h('span', { class: 'visually-hidden' }, target.name));
}

const SAID_MS = 20_000;
let timer;

/** Says what came of something, where it is seen wherever the page is scrolled to. */
export function tell(key, mood, params) {
  const said = byId('kick-said');
  said.hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => { said.hidden = true; }, SAID_MS);
  said.className = `note toast ${mood}`;
  say(said, key, params);
}
