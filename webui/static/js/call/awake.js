// A phone that falls asleep leaves the call, so the screen stays on as long as that lasts.

let wanted = false;
let lock = null;

export function stayAwake(on) {
  wanted = on;
  if (on) ask();
  else lock?.release();
}

// The browser takes it back when the page is out of sight, and refuses it to a battery that is low.
async function ask() {
  if (!navigator.wakeLock || document.hidden || lock) return;
  try {
    const taken = await navigator.wakeLock.request('screen');
    taken.addEventListener('release', () => { lock = null; });
    lock = taken;
    if (!wanted) lock.release();
  } catch {
    // Then the screen goes dark as it does elsewhere.
  }
}

document.addEventListener('visibilitychange', () => wanted && ask());
