// How the box is, in one line on the start page.
import { byId } from './dom.js';
import { say } from './i18n.js';

/** Asks the box, and says how it is. */
export async function tellHealth() {
  const asked = performance.now();
  const { state, mood } = await healthOf(fetch('/readyz', { cache: 'no-store' }));
  byId('health').className = `badge ${mood}`;
  say(byId('health'), `home.health.${state}`, { ms: Math.max(1, Math.round(performance.now() - asked)) });
}

async function healthOf(asked) {
  try {
    const { ready, selfTest } = await (await asked).json();
    if (!ready) return { state: 'ending', mood: 'warn' };
    return selfTest?.ok === false ? { state: 'trouble', mood: 'warn' } : { state: 'good', mood: 'good' };
  } catch {
    return { state: 'away', mood: 'bad' }; // nobody answers
  }
}
