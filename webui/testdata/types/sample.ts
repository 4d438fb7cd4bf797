// An application in TypeScript, as strict as it gets. It is type-checked, not run; the module comes
// as a bundler would find it.
import {
  connect,
  SignalboxError,
  type Call,
  type ErrorCode,
  type IncomingCall,
  type Path,
  type Peer,
  type Room,
  type Session,
} from '../../static/signalbox.js';

export async function main(video: HTMLVideoElement, ask: (who: string) => boolean): Promise<Session> {
  const stream: MediaStream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  const session = await connect({
    url: new URL('wss://box.example.org/signal'),
    name: 'Ada',
    user: 'ada',
    token: async () => (await fetch('/token')).text(),
    keep: true,
    retries: 5,
    signal: AbortSignal.timeout(60_000),
  });
  session.on('state', ({ state, error }) => console.info(state satisfies Session['state'], error?.code, error?.final));
  session.on('error', ({ error }) => {
    const code: ErrorCode = error.code;
    if (code === 'origin-refused' || code === 'csp-refused' || code === 'no-hub') throw error;
    // @ts-expect-error: no error has this code
    if (code === 'unrechable') throw error;
  });
  session.on('carrier', ({ carrier }) => console.info(carrier === 'sse'));
  session.on('resumed', ({ addressChanged }) => console.info(addressChanged satisfies boolean));
  session.on('ice', ({ iceServers }) => new RTCPeerConnection({ iceServers }));
  session.on('signal', ({ from, data }) => session.signal(from, { got: data }));
  session.on('call', ({ call }) => answer(call, ask, video));

  const room: Room = session.room('tea', { stream, relayOnly: true, dataChannel: false, token: 'pass' });
  const off: () => void = room.on('track', ({ peer, stream: theirs }) => show(peer, theirs));
  room.on('left', ({ peer, reason }) => console.info(peer.name, reason === 'kicked'));
  room.on('presence', ({ peer, present }) => console.info(peer.present === present));
  room.on('path', ({ path }) => console.info(describe(path)));
  room.on('broadcast', ({ fromName, data }) => console.info(fromName, data));
  room.on('rejoined', () => room.send('here again'));
  room.on('closed', ({ error }) => console.info(error?.message));
  try {
    await room.join();
    await room.replaceTrack('video', null);
    await room.broadcast({ hand: true });
  } catch (error) {
    if (!(error instanceof SignalboxError) || error.code !== 'room-full') throw error;
  }
  for (const peer of room.peers.values()) peer.restartIce();
  off();
  room.leave();

  const patience = new AbortController();
  const call: Call = await session.call('@bob', { stream, signal: patience.signal });
  call.on('closed', ({ error }) => console.info(error?.reason));
  call.peer.send('hello');
  call.hangup();
  console.info(await session.ping(), await session.refreshIce(), session.rooms.get('tea')?.capacity);
  return session;

  function show(peer: Peer, theirs: MediaStream): void {
    video.srcObject = theirs;
    video.title = peer.user ?? peer.name;
  }
}

function answer(call: IncomingCall, ask: (who: string) => boolean, video: HTMLVideoElement): void {
  call.on('canceled', () => console.info('too late'));
  if (!ask(call.user ?? call.name)) return call.decline('busy');
  call.accept({ dataChannel: true }).on('track', ({ stream }) => { video.srcObject = stream; });
}

function describe({ kind, protocol, rtt }: Path): string {
  return `${kind} over ${protocol}, ${rtt ?? '?'} ms`;
}

// What isn't there must not pass.
export async function wrong(session: Session): Promise<void> {
  // @ts-expect-error: there is no such option
  await connect({ username: 'Ada' });
  // @ts-expect-error: nor such an event
  session.on('stats', () => undefined);
  // @ts-expect-error: the state is the session's own matter
  session.state = 'open';
  // @ts-expect-error: errors come from the SDK
  throw new SignalboxError();
}
