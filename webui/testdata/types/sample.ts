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
  type Prepared,
  type Room,
  type Session,
} from '../../static/signalbox.js';
import { Data } from '../../static/signalbox-data.js';
import { Media, MediaError, Meter, type Devices, type MediaErrorCode, type TrackReason } from
  '../../static/signalbox-media.js';
import { Stats, verdictOf, verdictWords, type PathName, type Sample, type Verdict } from
  '../../static/signalbox-stats.js';

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
    configuration: { iceServers: [{ urls: 'turn:turn.example.org', username: 'a', credential: 'b' }] },
  });
  session.on('state', ({ state, error }) => console.info(state satisfies Session['state'], error?.code, error?.final));
  session.on('error', ({ error }) => {
    const code: ErrorCode = error.code;
    if (code === 'origin-refused' || code === 'csp-refused' || code === 'no-hub') throw error;
    // @ts-expect-error: no error has this code
    if (code === 'unrechable') throw error;
  });
  session.on('state', ({ state }) => state === 'open' && session.request({ type: 'join', room: 'lobby' }));
  session.on('joined', ({ room: lobby, peers, capacity }) => console.info(lobby, peers[0]?.name, capacity));
  session.on('peer-joined', ({ peer: { id, user } }) => console.info(id satisfies string, user));
  session.on('left', ({ room: lobby, reason }) => console.info(lobby, reason === 'kicked'));
  session.on('peer-left', ({ reason }) => console.info(reason === 'kicked'));
  session.on('broadcast', ({ fromName, data }) => console.info(fromName, data));
  session.on('carrier', ({ carrier }) => console.info(carrier === 'sse'));
  session.on('resumed', ({ addressChanged }) => console.info(addressChanged satisfies boolean));
  session.on('ice', ({ iceServers }) => new RTCPeerConnection({ iceServers }));
  session.on('signal', ({ from, data }) => session.signal(from, { got: data }));
  session.on('call', ({ call }) => answer(call, ask, video));

  const room: Room = session.room('tea', {
    stream,
    streams: { screen: await navigator.mediaDevices.getDisplayMedia() },
    relayOnly: true,
    dataChannel: false,
    token: 'pass',
    configuration: { iceCandidatePoolSize: 1 },
    sdpTransform: (sdp, { peer, type }) => (type === 'offer' && peer.present ? sdp.replace('a=', 'a=') : sdp),
    prepare,
  });
  room.on('stream', ({ peer, name, stream: theirs }) => console.info(theirs === (peer.streams.get(name) ?? null)));
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
    await room.replaceTrack('video', null, 'screen');
    room.send(new Uint8Array([1, 2, 3]));
    await room.broadcast({ hand: true });
  } catch (error) {
    if (!(error instanceof SignalboxError) || error.code !== 'room-full') throw error;
  }
  for (const peer of room.peers.values()) peer.restartIce();
  off();
  room.once('peer', greet);
  await tell(room, new Blob(['text']));
  room.off('peer', greet);
  room.leave();

  const patience = new AbortController();
  const call: Call = await session.call('@bob', { stream, signal: patience.signal });
  call.on('closed', ({ error }) => console.info(error?.reason));
  call.peer.send('hello');
  call.hangup();
  console.info(await session.ping(), await session.refreshIce());
  console.info(session.rooms.get('tea')?.capacity, session.calls.size);
  return session;

  function greet({ peer }: { peer: Peer }): void {
    peer.send('hello');
  }

  function show(peer: Peer, theirs: MediaStream): void {
    video.srcObject = theirs;
    video.title = peer.user ?? peer.name;
  }
}

function answer(call: IncomingCall, ask: (who: string) => boolean, video: HTMLVideoElement): void {
  call.on('canceled', ({ reason }) => console.info(reason === 'answered-elsewhere' ? 'you have answered' : 'too late'));
  if (!ask(call.user ?? call.name)) return call.decline('busy');
  call.accept({ dataChannel: true }).on('track', ({ stream }) => { video.srcObject = stream; });
}

function prepare({ peer, kind, name, sender, receiver }: Prepared): void {
  if (sender && kind === 'video') void sender.setParameters(sender.getParameters());
  console.info(peer.name, name === 'screen', receiver?.track.id);
}

function describe({ kind, protocol, rtt }: Path): string {
  return `${kind} over ${protocol}, ${rtt ?? '?'} ms`;
}

export async function devices(room: Room, audio: HTMLAudioElement, pick: (of: Devices) => string): Promise<Media> {
  const media = new Media({
    microphone: { echoCancellation: false },
    camera: { facingMode: 'user' },
    screen: { video: true, audio: true },
    frees: { microphone: true },
    remember: false,
  });
  const off: () => void = media.on('track', ({ kind, track, reason }) => {
    console.info(reason satisfies TrackReason);
    if (kind !== 'screen') room.replaceTrack(kind === 'camera' ? 'video' : 'audio', track);
  });
  media.on('muted', ({ kind, muted }) => console.info(media.isMuted(kind) === muted));
  media.once('devices', ({ devices: { speaker } }) => console.info(speaker.map(({ label }) => label)));
  media.on('error', ({ kind, error }) => console.info(kind, error.words('zh-CN'), media.errorOf(kind)?.code));
  await media.open();
  await media.open(['microphone']);
  try {
    await media.use('camera', pick(media.devices));
    await media.use('speaker', '');
    const screen: MediaStreamTrack = media.canShare ? await media.share({ video: true }) : await media.unmute('camera');
    console.info(screen.label, media.screen === screen, media.screenSound?.label, media.isPending('screen'));
  } catch (error) {
    if (!(error instanceof MediaError) || error.code !== 'dismissed') throw error;
    console.info(error.code satisfies MediaErrorCode, error.kind === 'speaker', error.cause);
  }
  media.mute('microphone', { free: false });
  media.unshare();
  const stop: () => void = media.play(audio);
  const [track] = room.peers.size > 0 ? [...room.peers.values()].flatMap((peer) => peer.stream.getAudioTracks()) : [];
  const meter = track && new Meter(track);
  console.info(media.level, meter?.level, meter?.track.id, media.isOn('camera'), media.deviceOf('speaker'));
  meter?.stop();
  stop();
  off();
  media.close();
  return media;
}

export function measure(peer: Peer, show: (words: string) => void): Stats {
  const stats = new Stats(peer);
  stats.on('sample', ({ sample }) => show(line(sample)));
  stats.on('verdict', ({ verdict }) => show(verdictWords(verdict, 'zh-CN')));
  const once = ({ sample: { at } }: { sample: Sample }): void => console.info(at);
  stats.once('sample', once);
  stats.off('sample', once);
  const other = new Stats(new RTCPeerConnection());
  other.stop();
  show(verdictWords(verdictOf(stats.samples)) + figure(stats.verdict) + (stats.last?.at ?? ''));
  return stats;
}

function line({ path, rtt, up, down }: Sample): string {
  const way: PathName | null = path;
  const sent = `${up.bitrate} of ${up.available ?? '?'} ${up.audio?.codec} ${up.video?.width} ${up.video?.limited}`;
  return `${way} ${rtt} ${sent} ${down.lost} of ${down.packets}: ${down.loss} ${down.audio?.jitter} ${down.video?.fps}`;
}

function figure(verdict: Verdict): number {
  return verdict.code === 'uplink-loss' || verdict.code === 'downlink-loss' ? verdict.percent : 0;
}

async function tell(room: Room, file: Blob): Promise<void> {
  const data = new Data(room, { meta: { hand: false }, longest: 1_000_000 });
  data.on('message', ({ peer, data: said }) => {
    console.info(peer.name, said instanceof ArrayBuffer ? said.byteLength : said);
  });
  data.on('progress', ({ received, total }) => console.info(received / total));
  data.on('ask', ({ data: asked, answer }) => answer(asked === 'time' ? Date.now() : Promise.resolve(null)));
  data.once('meta', ({ peer, meta }) => console.info(data.metaOf(peer) === meta));
  console.info(data.send({ x: 1, list: ['a', null] }) satisfies number);
  const patience = new AbortController();
  for (const peer of room.peers.values()) {
    console.info(await data.ask(peer, 'time', { timeout: 1000 }));
    const onprogress = ({ sent, total }: { sent: number; total: number }): void => console.info(sent / total);
    await data.transfer(file, { peer, signal: patience.signal, onprogress });
  }
  await data.drain();
  data.setMeta({ hand: true });
  // @ts-expect-error: JSON has none of these
  data.send(new Map());
  // @ts-expect-error: a typo in the name of an event
  data.on('messages', () => undefined);
  // @ts-expect-error: a question is for somebody
  await data.ask('time');
  data.close();
}

// What isn't there must not pass.
export async function wrong(session: Session): Promise<void> {
  // @ts-expect-error: there is no such option
  await connect({ username: 'Ada' });
  // @ts-expect-error: nor such an event
  session.on('stats', () => undefined);
  // @ts-expect-error: a typo in the name of an event
  session.once('closd', () => undefined);
  // @ts-expect-error: nor is there an end to what can't begin
  session.off('peer', () => undefined);
  // @ts-expect-error: this event has no such detail
  session.on('ice', ({ servers }) => servers);
  const code: ErrorCode = 'room-full';
  // @ts-expect-error: a typo in a code
  const typo: ErrorCode = 'room_full';
  session.on('error', ({ error }) => {
    // @ts-expect-error: a typo in a code that is compared
    if (error.code === 'unauthorised') throw error;
    switch (error.code) {
      // @ts-expect-error: and in one of several
      case 'roomfull':
        console.info(code, typo);
    }
  });
  // @ts-expect-error: a channel would make text of it
  session.rooms.get('tea')?.send({ a: 1 });
  // @ts-expect-error: the state is the session's own matter
  session.state = 'open';
  // @ts-expect-error: nobody asks for a screen so
  await new Media().open(['screen']);
  // @ts-expect-error: no device has such an error
  console.info(new Media().errorOf('camera')?.code === 'offline');
  // @ts-expect-error: a good connection has no figure
  console.info(({ code: 'good' } satisfies Verdict).percent);
  // @ts-expect-error: errors come from the SDK
  throw new SignalboxError();
}
