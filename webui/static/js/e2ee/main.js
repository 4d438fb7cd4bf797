// An example, to be copied: a call whose pictures and sound are encrypted from browser to browser
// with a key that the box never sees.
//
//   const prepare = await encrypt(passphrase, 'tea');
//   const room = await session.join('tea', { stream, prepare });
//
// All members need the same passphrase. It must come to them by another way than through the box: a
// link's fragment, or by word of mouth. A page whose policy (CSP) has require-trusted-types-for, as
// the box's own, must allow the worker by a policy of its own.

const ROUNDS = 600_000; // of guessing, for each passphrase

/** What sets up senders and receivers: the option `prepare` of a room or a call. */
export async function encrypt(passphrase, salt) {
  const key = await keyOf(passphrase, salt);
  const worker = new Worker(new URL('./worker.js', import.meta.url));
  // Where there are no encoded transforms, this throws, and nothing is sent.
  return ({ peer, kind, sender, receiver }) => {
    const options = { key, does: sender ? 'encrypt' : 'decrypt' };
    (sender ?? receiver).transform = new RTCRtpScriptTransform(worker, options);
    if (sender && kind === 'video') preferVP8(peer.connection, sender);
  };
}

// Other codecs need more of a frame in the clear than a few bytes. The first one is what is sent.
function preferVP8(connection, sender) {
  const { codecs } = RTCRtpReceiver.getCapabilities('video');
  const isOther = ({ mimeType }) => Number(mimeType.toLowerCase() !== 'video/vp8');
  const inOrder = codecs.sort((a, b) => isOther(a) - isOther(b));
  connection.getTransceivers().find((each) => each.sender === sender).setCodecPreferences(inOrder);
}

async function keyOf(passphrase, salt) {
  const bytes = (text) => new TextEncoder().encode(text.normalize());
  const secret = await crypto.subtle.importKey('raw', bytes(passphrase), 'PBKDF2', false, ['deriveKey']);
  const how = { name: 'PBKDF2', hash: 'SHA-256', salt: bytes(`signalbox e2ee ${salt}`), iterations: ROUNDS };
  return crypto.subtle.deriveKey(how, secret, { name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
}
