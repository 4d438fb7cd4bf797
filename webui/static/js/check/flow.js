// Two seconds of what a call weighs, through a data channel: what of it arrives, and how fast.

export const FLOW_MS = 2000;
export const KBIT = 500; // a second: enough for a picture, and four at once fit through most uplinks
const MESSAGE_BYTES = 1000;
const WAITING_BYTES = 16_000; // in the browser: what a slow way has no room for is not sent
const TICK_MS = 20;
const LAST_MS = 300; // for what is still on its way

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Options of a channel that sends nothing again. */
export const UNRELIABLE = { ordered: false, maxRetransmits: 0 };

/** Sends from one end of a channel to the other. Resolves to {kbit, loss}: a second, and in %. */
export async function flow(from, to) {
  const message = new Uint8Array(MESSAGE_BYTES);
  let [sent, received] = [0, 0];
  to.onmessage = () => { received++; };
  const started = performance.now();
  for (let elapsed = 0; elapsed < FLOW_MS; elapsed = performance.now() - started) {
    const due = KBIT * elapsed / 8 / MESSAGE_BYTES;
    for (; sent < due && from.bufferedAmount < WAITING_BYTES; sent++) from.send(message);
    await sleep(TICK_MS);
  }
  await sleep(LAST_MS);
  return sumUp(sent, received);
}

export function sumUp(sent, received) {
  return {
    kbit: Math.round(received * MESSAGE_BYTES * 8 / FLOW_MS),
    loss: sent ? Math.round((1 - received / sent) * 1000) / 10 : 100,
  };
}
