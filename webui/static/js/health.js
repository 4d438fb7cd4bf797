// How the box is, in one line on the start page.
import { byId } from './dom.js';
import { say } from './i18n.js';

const PATIENCE_MS = 5000;

let asked = 0; // so many times

/** Asks the box, and says how it is. What was asked last is what is said. */
export async function tellHealth() {
  const turn = ++asked;
  const began = performance.now();
  const { state, mood } = await ask();
  if (turn < asked) return; // of a moment before
  byId('health').className = `badge ${mood}`;
  say(byId('health'), `home.health.${state}`, { ms: Math.max(1, Math.round(performance.now() - began)) });
}

async function ask() {
  try {
    const answer = await fetch('/readyz', { cache: 'no-store', signal: AbortSignal.timeout?.(PATIENCE_MS) });
    const { ready, selfTest } = await answer.json();
    if (!ready) return { state: 'ending', mood: 'warn' };
    return selfTest?.ok === false ? { state: 'trouble', mood: 'warn' } : { state: 'good', mood: 'good' };
  } catch {
    return { state: 'away', mood: 'bad' }; // nobody answers
  }
}
