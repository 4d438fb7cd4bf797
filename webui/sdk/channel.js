// Text from peer to peer, on a data channel.

// Opens the channel on this end; the far end does the same.
export function openChannel(connection, { open, message }) {
  // Negotiated by agreement (id 0 on both ends), so that neither waits for the other to open it.
  const channel = connection.createDataChannel('signalbox', { negotiated: true, id: 0 });
  channel.onopen = open;
  channel.onmessage = message;
  return channel;
}

// Tells whether the channel takes the text.
export function sendText(channel, text) {
  if (channel?.readyState !== 'open') return false;
  try {
    channel.send(text);
    return true;
  } catch {
    return false; // it is too long for the far end, or too much waits for it
  }
}
