// What a browser's report says of the streams of a connection, in numbers that add up.

// The streams of a report by id, with counts since their beginning and what is so just now; how
// many frames each camera and screen has given; and what the browser takes for the width of the
// uplink, if it says so.
export function readReport(report) {
  const streams = new Map();
  const sources = new Map();
  let available = null;
  for (const entry of report.values()) {
    if (entry.type === 'outbound-rtp') streams.set(entry.id, sent(report, entry));
    if (entry.type === 'inbound-rtp') streams.set(entry.id, received(report, entry));
    if (entry.type === 'media-source' && entry.frames !== undefined) sources.set(entry.id, entry.frames);
  }
  for (const { availableOutgoingBitrate: bits } of report.values()) available = Math.max(available, bits ?? 0) || null;
  // What the far end says of what it receives.
  for (const entry of report.values()) {
    const stream = entry.type === 'remote-inbound-rtp' && streams.get(entry.localId);
    if (!stream) continue;
    stream.lost = entry.packetsLost ?? 0;
    if (entry.roundTripTime !== undefined) stream.rtt = entry.roundTripTime * 1000;
  }
  return { streams, sources, available };
}

// Repeated packets don't count: a stream is as bad as what first gets through.
function sent(report, entry) {
  const { packetsSent = 0, retransmittedPacketsSent = 0, bytesSent = 0, headerBytesSent = 0 } = entry;
  return {
    ...common(report, entry),
    isUp: true,
    packets: packetsSent - retransmittedPacketsSent,
    bytes: bytesSent + headerBytesSent,
    limited: entry.qualityLimitationReason ?? 'none',
  };
}

function received(report, entry) {
  const { packetsReceived = 0, retransmittedPacketsReceived = 0, packetsLost = 0, bytesReceived = 0 } = entry;
  return {
    ...common(report, entry),
    isUp: false,
    packets: packetsReceived - retransmittedPacketsReceived + packetsLost, // those that were expected
    lost: packetsLost,
    bytes: bytesReceived + (entry.headerBytesReceived ?? 0),
    jitter: (entry.jitter ?? 0) * 1000,
    frames: entry.framesDecoded ?? 0,
    dropped: entry.framesDropped ?? 0,
  };
}

function common(report, { kind, codecId, frameWidth, frameHeight, framesPerSecond }) {
  const codec = report.get(codecId)?.mimeType?.split('/')[1] ?? null;
  return { kind, codec, width: frameWidth ?? 0, height: frameHeight ?? 0, fps: framesPerSecond ?? 0 };
}
