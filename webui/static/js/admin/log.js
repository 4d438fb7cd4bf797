// The last lines of the log that warn or refuse, the newest first.
import { byId, h } from '../dom.js';
import { locale } from '../i18n.js';
import { renewChildren, update } from '../rows.js';
import { log } from './api.js';

const SHOWN = 50;

export class LogLines {
  #lines = [];

  /** Fetches what follows, if there is something: the box has written `last` lines. */
  async refresh(last) {
    const have = this.#lines.at(-1)?.n ?? 0;
    if (last === have) return;
    const after = last < have ? 0 : have; // the box was started anew
    this.#lines = [...(after ? this.#lines : []), ...await log(after)].slice(-SHOWN);
    this.draw();
  }

  draw() {
    byId('log-empty').hidden = this.#lines.length > 0;
    update(byId('log'), this.#lines.toReversed().map(({ n, at, level, text }) => h('li', { 'data-id': `${n} ${at}`,
      class: level }, h('time', { class: 'small muted numeric', datetime: new Date(at).toISOString() },
      new Date(at).toLocaleTimeString(locale())), h('code', {}, text))), renewChildren);
  }
}
