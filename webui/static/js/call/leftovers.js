// Offers what is on the browser's own disk, one after the other: recordings whose tab ended before
// they did; and those that the browser's downloads were given, as a download may be canceled.
import { byId } from '../dom.js';
import { say } from '../i18n.js';
import { leftovers } from './disk.js';

const MEGABYTE = 1_000_000;

export class Leftovers {
  #all = [];
  #isSure = false; // that it is to go for good

  constructor() {
    byId('leftover-save').addEventListener('click', () => this.#do((first) => first.save()));
    byId('leftover-delete').addEventListener('click', () => {
      if (this.#isSure) return this.#do((first) => first.remove());
      this.#isSure = true;
      return say(byId('leftover-delete'), 'leftover.sure');
    });
  }

  /** Looks again what there is. */
  async refresh() {
    this.#all = await leftovers();
    this.#show();
  }

  #show() {
    const [first] = this.#all;
    this.#isSure = false;
    byId('leftover').hidden = !first;
    byId('leftover').toggleAttribute('data-handed', Boolean(first?.isHanded));
    say(byId('leftover-text'), !first ? '' : first.isHanded ? 'leftover.handed' : 'leftover', {
      name: first?.name, size: Math.max(0.1, (first?.size ?? 0) / MEGABYTE).toFixed(1),
    });
    say(byId('leftover-save'), first?.isHanded ? 'leftover.again' : 'leftover.save');
    say(byId('leftover-delete'), first?.isHanded ? 'leftover.drop' : 'leftover.delete');
  }

  async #do(action) {
    const [first, ...others] = this.#all;
    this.#all = others;
    this.#show(); // it can't be asked for twice
    await action(first).catch(console.warn); // another tab was faster
    await this.refresh();
  }
}
