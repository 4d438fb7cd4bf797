// What tests of the SDK's state play by themselves: a hub whose every word is theirs, and peer
// connections that only keep account. What needs the hub's own ways is in hub.test.mjs, and what
// needs real peer connections is tested in browsers.
import { createServer } from 'node:http';
import './browser.mjs';

const { WebSocketServer } = await import(process.env.WEBSOCKET);

const ICE = { iceServers: [], iceExpiresAt: 0 };
export const WELCOME = {
  type: 'welcome',
  peerId: 'me',
  name: 'Ada',
  resumeToken: 'token',
  resumeSeconds: 60,
  heartbeatSeconds: 25,
  ...ICE,
};
export const RESUMED = { type: 'resumed', peerId: 'me', received: 0, rooms: [], ...ICE };
export const EXPIRED = { type: 'error', code: 'resume-expired' };

export const joined = (room, ...peers) => ({
  type: 'joined',
  room,
  capacity: 8,
  peers: peers.map((id) => ({ id, name: id, polite: false })),
});

const USUAL = {
  hello: (_, { send }) => send(WELCOME),
  resume: (_, { send }) => send(RESUMED),
  join: ({ room }, { send }) => send(joined(room)),
  ping: (_, { send }) => send({ type: 'pong' }),
};

/**
 * A hub of one session. `parts` answer frames by their type, in place of what is usual; requests
 * are acknowledged after that. It speaks WebSocket; where it is asked for events, it only says that
 * it was.
 */
export async function startHub(t, parts = {}) {
  const hub = {
    url: '',
    line: null, // the last one: {send, end, cut}
    frames: [],
    attempts: [], // to connect: {carrier, at}
    /**
     * Resolves with what `look` finds, once it finds something. Tests have a deadline of their own.
     */
    async until(look) {
      for (;;) {
        const found = look(hub);
        if (found) return found;
        await new Promise((resolve) => setTimeout(resolve, 5)); // peer connections, say, tell nobody of their state
      }
    },
    /** Resolves with the first frame that is acceptable, whether it has come already or not. */
    frame: (accept) => hub.until(() => hub.frames.find(accept)),
  };
  const attempt = (carrier) => hub.attempts.push({ carrier, at: performance.now() });
  const server = createServer(({ url }, response) => {
    if (url.endsWith('/events')) attempt('sse');
    response.writeHead(500).end();
  });
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', (socket) => {
    const send = (frame) => socket.send(JSON.stringify(frame));
    const line = { send, end: (code) => socket.close(code), cut: () => socket.terminate() };
    hub.line = line;
    attempt('websocket');
    socket.on('message', (text) => {
      const frame = JSON.parse(text);
      hub.frames.push(frame);
      (parts[frame.type] ?? USUAL[frame.type])?.(frame, line);
      if (frame.id) send({ type: 'ack', id: frame.id });
    });
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate();
    server.close();
  });
  hub.url = `http://127.0.0.1:${server.address().port}/signal`;
  return hub;
}

/** A path is found, or lost. */
export function pass(connection, state) {
  connection.connectionState = state;
  connection.onconnectionstatechange();
}

// Peer connections pass through the states of a negotiation, but connect nothing.
globalThis.RTCPeerConnection = class {
  signalingState = 'stable';
  connectionState = 'new';
  localDescription = null;
  restarts = 0;
  candidates = []; // that were taken
  applied = []; // the far end's descriptions: their type, and the state that they found
  remoteDescription = null;
  #transceivers = [];

  constructor(configuration) {
    this.configuration = configuration;
  }

  addTrack(track, ...streams) {
    const free = this.#transceivers.find(({ sender, receiver, direction }) => (
      direction === 'inactive' && !sender.hasSent && receiver.track.kind === track.kind));
    if (free) {
      Object.assign(free.sender, { track, streams });
      free.direction = 'sendrecv';
      this.#negotiate();
      return free.sender;
    }
    const sender = { track, streams, transport: null, replaceTrack: async (other) => { sender.track = other; } };
    this.#transceivers.push({ receiver: { track: { kind: track.kind } }, direction: 'sendrecv', sender });
    this.#negotiate();
    return sender;
  }

  removeTrack(sender) {
    sender.track = null;
    this.#transceivers.find((each) => each.sender === sender).direction = 'inactive';
  }

  getTransceivers() {
    return this.#transceivers;
  }

  getSenders() {
    return this.#transceivers;
  }

  addTransceiver(kind, { direction = 'sendrecv' } = {}) {
    this.#transceivers.push({ receiver: { track: { kind } }, direction });
    this.#negotiate();
  }

  createDataChannel() {
    this.#negotiate();
    return { readyState: 'connecting' };
  }

  async getStats() {
    return new Map();
  }

  async addIceCandidate(candidate) {
    if (!this.remoteDescription) throw new DOMException('There is no remote description.', 'InvalidStateError');
    this.candidates.push(candidate);
  }

  restartIce() {
    this.restarts++;
    this.#negotiate();
  }

  setConfiguration(configuration) {
    this.configuration = configuration;
    if (this.signalingState === 'closed') throw new DOMException('The connection is closed.', 'InvalidStateError');
  }

  async setLocalDescription() {
    await null;
    for (const { sender, direction } of this.#transceivers) {
      if (sender) Object.assign(sender, { transport: {}, hasSent: direction === 'sendrecv' });
    }
    const answers = this.signalingState === 'have-remote-offer';
    this.localDescription = { type: answers ? 'answer' : 'offer', sdp: '' };
    this.signalingState = answers ? 'stable' : 'have-local-offer';
  }

  async setRemoteDescription(description) {
    const { type } = this.remoteDescription = description;
    this.applied.push(`${type} in ${this.signalingState}`);
    await null;
    this.signalingState = type === 'offer' ? 'have-remote-offer' : 'stable';
  }

  close() {
    this.signalingState = this.connectionState = 'closed';
  }

  #negotiate() {
    setTimeout(() => this.signalingState === 'stable' && this.onnegotiationneeded?.());
  }
};
