// Messages from peer to peer, on a data channel.
import { SignalboxError } from './errors.js';

// Opens the channel on this end; the far end does the same.
export function openChannel(connection, { open, message, stalled }) {
  // Negotiated by agreement (id 0 on both ends), so that neither waits for the other to open it.
  const channel = connection.createDataChannel('signalbox', { negotiated: true, id: 0 });
  channel.binaryType = 'arraybuffer';
  channel.onopen = open;
  channel.onmessage = message;
  channel.onclose = stalled; // the far end has closed the connection, perhaps by mistake
  return channel;
}

// A channel would make '[object Object]' of anything else.
export function checkMessage(data) {
  const isMessage = typeof data === 'string' || data instanceof ArrayBuffer || ArrayBuffer.isView(data);
  if (!isMessage) throw new SignalboxError('bad-data');
}

// Tells whether the channel takes the message.
export function sendMessage(channel, data) {
  if (channel?.readyState !== 'open') return false;
  try {
    channel.send(data);
    return true;
  } catch {
    return false; // it is too long for the far end, or too much waits for it
  }
}
