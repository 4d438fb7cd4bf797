// Encrypts and decrypts frames, each for itself: see main.js. A frame is its head in the clear,
// which tells how to take it apart, the encrypted rest, and the 12 bytes that make it unlike any
// other.

const NONCE = 12;
const HEADS = { key: 10, delta: 3 }; // of VP8; of sound, it is one byte

onrtctransform = ({ transformer: { readable, writable, options: { key, does } } }) => {
  const change = does === 'encrypt' ? encrypter(key) : decrypter(key);
  const transform = async (frame, controller) => {
    const data = await change(new Uint8Array(frame.data), HEADS[frame.type] ?? 1).catch(() => null);
    if (!data) return;
    frame.data = data;
    controller.enqueue(frame);
  };
  readable.pipeThrough(new TransformStream({ transform })).pipeTo(writable).catch(() => {});
};

// Two senders never have a nonce in common, by 64 random bits; one sender counts its frames.
function encrypter(key) {
  const nonce = new DataView(crypto.getRandomValues(new Uint8Array(NONCE)).buffer);
  let count = 0;
  return async (data, length) => {
    nonce.setUint32(8, count++); // 2 ** 32 frames are years
    const iv = new Uint8Array(nonce.buffer.slice(0));
    const head = data.subarray(0, length);
    const rest = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData: head }, key, data.subarray(length));
    return joined(head, new Uint8Array(rest), iv);
  };
}

// A frame that isn't of this key is dropped.
function decrypter(key) {
  return async (data, length) => {
    const head = data.subarray(0, length);
    const iv = data.subarray(-NONCE);
    const rest = data.subarray(length, -NONCE);
    const plain = await crypto.subtle.decrypt({ name: 'AES-GCM', iv, additionalData: head }, key, rest);
    return joined(head, new Uint8Array(plain));
  };
}

function joined(...parts) {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  parts.reduce((at, part) => (bytes.set(part, at), at + part.length), 0);
  return bytes.buffer;
}
