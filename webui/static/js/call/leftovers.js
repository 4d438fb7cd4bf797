// Offers what is left of recordings whose tab ended before they did, one after the other.
import { byId } from '../dom.js';
import { say } from '../i18n.js';
import { leftovers } from './disk.js';

const MEGABYTE = 1_000_000;

export async function offer() {
  let all = await leftovers();
  let isSure = false; // that it is to go for good
  const show = () => {
    const [first] = all;
    isSure = false;
    byId('leftover').hidden = !first;
    say(byId('leftover-text'), first ? 'leftover' : '', {
      name: first?.name, size: Math.max(0.1, (first?.size ?? 0) / MEGABYTE).toFixed(1),
    });
    say(byId('leftover-delete'), 'leftover.delete');
  };
  const done = async (action) => {
    const [first] = all;
    all = all.slice(1);
    show();
    try {
      await action(first);
    } catch (error) {
      console.warn(error);
      all = await leftovers(); // without it, if another tab was faster
      show();
    }
  };
  byId('leftover-save').addEventListener('click', () => done((each) => each.save()));
  byId('leftover-delete').addEventListener('click', () => {
    if (isSure) return done((each) => each.remove());
    isSure = true;
    return say(byId('leftover-delete'), 'leftover.sure');
  });
  show();
}
