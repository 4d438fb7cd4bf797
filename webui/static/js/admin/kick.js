// The question before somebody is kicked, and what came of it.
import { byId } from '../dom.js';
import { say, t } from '../i18n.js';
import { kick, Locked } from './api.js';

export class KickDialog {
  #element = byId('kick');
  #target = null;

  constructor() {
    byId('kick-confirm').addEventListener('click', () => this.#confirm());
    byId('kick-cancel').addEventListener('click', () => this.close());
  }

  /**
   * Asks about a target: {kind, name, keptOut, request}. The kind, `member` or `allocation`,
   * decides the words; `keptOut` says whom a ban is for; `request` gives what to ask the box for,
   * with the ban's duration or an empty string.
   */
  ask(target) {
    this.#target = target;
    const { kind, name, keptOut } = target;
    say(byId('kick-title'), `kick.title.${kind}`, { name });
    say(byId('kick-what'), `kick.what.${kind}`);
    say(byId('kick-note'), `kick.note.${kind}`);
    say(byId('kick-ban-label'), 'kick.ban', { whom: keptOut });
    byId('kick-ban').value = '';
    byId('kick-confirm').disabled = false;
    this.#element.showModal();
    byId('kick-cancel').focus();
  }

  close() {
    this.#element.close();
  }

  async #confirm() {
    byId('kick-confirm').disabled = true;
    const { name, request } = this.#target;
    try {
      const { sessions, allocations, warning } = await kick(request(byId('kick-ban').value));
      const gone = sessions + allocations === 0;
      if (warning) tell('kick.warning', 'warn', { name, message: warning });
      else tell(gone ? 'kick.gone' : 'kick.done', gone ? 'warn' : 'good', { name, sessions, allocations });
    } catch (error) {
      const message = error instanceof Locked ? () => t('admin.locked.expired') : error.message;
      tell('kick.failed', 'bad', { name, message });
    }
    this.close();
  }
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
