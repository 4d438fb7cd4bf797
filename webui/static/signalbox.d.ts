// Types of /signalbox.js, and the documentation of every call.
//
//   import { connect } from '/signalbox.js'; // npm: 'signalbox'
//   const session = await connect({ name: 'Ada' });
//   const room = session.room('tea', { stream });
//   room.on('track', ({ peer, stream }) => { video.srcObject = stream; });
//   await room.join();

/**
 * Opens a signaling session: over a WebSocket, or, where that doesn't get through, over server-sent
 * events and POSTs. Rejects if that fails, at the first attempt and its `retries`. From then on the
 * session reconnects by itself and loses no message; requests wait meanwhile.
 */
export function connect(options?: ConnectOptions): Promise<Session>;

export interface ConnectOptions {
  /**
   * Where the hub is; by default `/signal` on the host that this module was loaded from. The npm
   * package has no default: there, a relative URL is one of the page's host.
   */
  url?: string | URL;
  /** For display; not unique. */
  name?: string;
  /**
   * The handle behind "@user": of this session alone, or, where the box allows it, of several
   * whose tokens name that user.
   */
  user?: string;
  /**
   * Admission, if the box asks for it: the password or a token, or a function that returns a fresh
   * one for each hello.
   */
  token?: string | (() => string | Promise<string>);
  /**
   * Whether a reloaded page keeps its peer id, so that others see the same peer; true by default.
   * The session's key is in sessionStorage from `pagehide` to the next load, and nowhere else. A
   * tab that is duplicated is a peer of its own.
   */
  keep?: boolean;
  /** What every peer connection is made with: see `MediaOptions.configuration`. */
  configuration?: RTCConfiguration;
  /**
   * How often the first connection is tried again, after growing pauses, when the hub is not
   * reached; 2 by default. Once there is a session, it reconnects without end.
   */
  retries?: number;
  /**
   * Closes the session when it aborts. Before there is one, `connect` rejects with `canceled`, and
   * none is left on the hub: an effect of React's, say, may abort in its cleanup.
   */
  signal?: AbortSignal;
}

/** Whatever has events. */
export interface Emitter<Events> {
  /** Calls `listener` for each event of that type. Returns a function that ends it. */
  on<Type extends keyof Events>(type: Type, listener: (detail: Events[Type]) => void): () => void;
  /** Calls `listener` for the next event of that type only. */
  once<Type extends keyof Events>(type: Type, listener: (detail: Events[Type]) => void): () => void;
  /** Ends what `on` or `once` has begun with the same listener. */
  off<Type extends keyof Events>(type: Type, listener: (detail: Events[Type]) => void): void;
}

/**
 * `reconnecting` ends with `open`, or with `closed` if the hub says not to come back
 * (`error.final`).
 */
export type SessionState = 'connecting' | 'open' | 'reconnecting' | 'closed';

export type Carrier = 'websocket' | 'sse';

export interface SessionEvents {
  /**
   * Another state than before, or `open` once more, over another connection. `error` says why it
   * is `reconnecting` or `closed`: `closed` and `canceled` if this end has ended it.
   */
  state: { state: SessionState; error?: SignalboxError };
  /**
   * The session goes on after the loss of its connection. If the address has changed, peers have
   * begun to look for new paths.
   */
  resumed: { addressChanged: boolean };
  /** Frames travel over another carrier: a fallback, or the way back from it. */
  carrier: { carrier: Carrier };
  /**
   * New ICE servers have come; the peer connections of all rooms and calls already have them.
   */
  ice: { iceServers: RTCIceServer[]; iceExpiresAt: number };
  /**
   * Somebody calls. A session without a listener for this declines by itself, as `unavailable`;
   * other sessions of this user ring all the same.
   */
  call: { call: IncomingCall };
  /**
   * A signal that belongs to no negotiation and no call: an application's own data, from a peer,
   * or, if `from` is `server`, from the operator's own server.
   */
  signal: { from: string; fromName: string; fromUser?: string; room?: string; data: unknown };
  /** An error that answers no request, such as the reason of a close that follows. */
  error: { error: SignalboxError };
  /**
   * What comes of rooms that the session is in without WebRTC, as in Node, by
   * `request({ type: 'join', room })`. Ask for it at each `state` that is `open`; to join again is
   * no error.
   */
  joined: { room: string; peers: PeerInfo[]; capacity: number };
  'peer-joined': { room: string; peer: PeerInfo };
  'peer-left': { room: string; peer: PeerInfo; reason: LeftReason };
  /** The session is out of a room: it has asked for that, or, with a reason, the operator has. */
  left: { room: string; reason?: LeftReason };
  broadcast: { from: string; fromName: string; room: string; data: unknown };
}

/** Another member of a room. */
export interface PeerInfo {
  id: string;
  name: string;
  user?: string;
}

export interface Session extends Emitter<SessionEvents> {
  /**
   * The id by which others know this session. It stays the same when the session is lost and
   * rebuilt, and when the box restarts.
   */
  readonly peerId: string;
  /** As others see it: without what is invisible. */
  readonly name: string;
  readonly user?: string;
  /** Where the session is now; the event `state` tells of each change. */
  readonly state: SessionState;
  /** What frames travel over now. */
  readonly carrier: Carrier;
  /** Pass it to an RTCPeerConnection as it is; always the newest. */
  readonly iceServers: RTCIceServer[];
  /** Unix milliseconds; 0: never. */
  readonly iceExpiresAt: number;
  /** The rooms that this session is in, by name. */
  readonly rooms: ReadonlyMap<string, Room>;
  /** The calls that ring or go on, made or received, by their ids. */
  readonly calls: ReadonlyMap<string, Call>;

  /**
   * Joins a room: every member becomes a peer with its own connection. The name of a room is
   * sent in NFC, one form of the same letters; its case counts.
   */
  join(room: string, options?: RoomOptions): Promise<Room>;
  /** A room that is not joined yet: subscribe to its events first, then await `room.join()`. */
  room(room: string, options?: RoomOptions): Room;
  /**
   * Calls a user, "@bob" or "bob". Resolves when the call is accepted. Rejects at once with
   * `no-such-peer`; with `declined` and a `reason`; with `unanswered` after 45 seconds, or when the
   * far end has gone; with `canceled` if `signal` aborts. If two users call each other at once,
   * they get one call, and both promises resolve. A user who has several sessions (`signal.devices`
   * in the box's configuration) is called on all of them, and the call is with the first that
   * accepts.
   */
  call(user: string, options?: CallOptions): Promise<Call>;
  /**
   * Sends data, whatever JSON can say, to a peer id, or to "@user", who may have several sessions:
   * then to all, until one of them has answered. Resolves when the hub has
   * passed it on. Rejects with `rate-limited` while the other end has too much of yours to read:
   * send it again in a moment.
   */
  signal(to: string, data: unknown, room?: string): Promise<void>;
  /**
   * Sends one frame of the protocol, now or once there is a connection again; resolves when the
   * hub has acknowledged it.
   */
  request(frame: { type: string; [field: string]: unknown }): Promise<void>;
  /** Round trip to the hub, in milliseconds. */
  ping(): Promise<number>;
  /** Asks for fresh ICE servers. The hub also pushes them at half of the credential's lifetime. */
  refreshIce(): Promise<RTCIceServer[]>;
  /** Leaves every room and call, and ends the session. The others learn of it at once. */
  close(): void;
}

export interface MediaOptions {
  /**
   * Its tracks, one of each kind, go to every peer; without a stream, the call is receive-only.
   */
  stream?: MediaStream;
  /** More streams, each by a name under which the peers find it: `{ screen }`. */
  streams?: Readonly<Record<string, MediaStream>>;
  /** Use only paths through the relay. */
  relayOnly?: boolean;
  /** A data channel to each peer; true by default. Both ends must agree. */
  dataChannel?: boolean;
  /**
   * What the peer connections are made with. Its `iceServers` come after those of the hub. Each
   * other setting replaces that of `connect`, and that the SDK's (`bundlePolicy: 'max-bundle'`).
   */
  configuration?: RTCConfiguration;
  /** Changes each description of this end before the far end gets it. */
  sdpTransform?: (sdp: string, of: { peer: Peer; type: RTCSdpType }) => string;
  /**
   * Sets up each sender and receiver before anything goes through it: an encoded transform for
   * end-to-end encryption (an example is in /assets/js/e2ee/main.js), codec preferences, a limit of
   * the bitrate. A track for whose sender it throws an error is not sent. To change a limit or the
   * codec later in a call, see `Peer.connection`.
   */
  prepare?: (what: Prepared) => void;
}

/** A new sender and what it is for, or a new receiver, of which that is not known yet. */
export interface Prepared {
  peer: Peer;
  kind: 'audio' | 'video';
  /** Of the sender's stream; '' for the one without a name. */
  name?: string;
  sender?: RTCRtpSender;
  receiver?: RTCRtpReceiver;
}

export interface RoomOptions extends MediaOptions {
  /** Admission to this room, if the box asks for it. */
  token?: string;
}

export interface CallOptions extends MediaOptions {
  /** Gives up ringing when it aborts. */
  signal?: AbortSignal;
}

export interface PeerEvents {
  /** A track has come, in `peer.stream`, or in the stream of that name. */
  track: { peer: Peer; track: MediaStreamTrack; stream: MediaStream; name: string };
  /** The peer sends a stream of that name, whose tracks come; or no longer: then it is null. */
  stream: { peer: Peer; name: string; stream: MediaStream | null };
  /** The data channel is open: `send` works from here on. */
  open: { peer: Peer };
  /** Text or bytes from the data channel. */
  message: { peer: Peer; data: string | ArrayBuffer };
  /** Another state than before, or, when the peer is rebuilt, another connection. */
  state: { peer: Peer; state: PeerState };
  /** The peer's own signaling is lost, or back. */
  presence: { peer: Peer; present: boolean };
  /** A new measurement of the path and its round-trip time, every two seconds. */
  path: { peer: Peer; path: Path };
  /** Something went wrong with this peer only, such as `negotiation`. */
  error: { peer: Peer; error: SignalboxError };
}

/** Events of a room or a call, and those of all its peers. */
export interface GroupEvents extends PeerEvents {
  /** Somebody is there: in a room, also each of those who were in it before. */
  peer: { peer: Peer };
  /**
   * The peer is gone and its connection closed: `lost` if nothing arrives from it any more. If a
   * peer's page has started anew under the same id without the hub knowing, `left` comes first, as
   * `lost`, and then a new `peer`.
   */
  left: { peer: Peer; reason: LeftReason };
  /**
   * It is over for this session. Without an error, the far end of a call has left; with the code
   * `kicked`, the operator has taken this session out of the room.
   */
  closed: { error?: SignalboxError };
}

/**
 * `answered-elsewhere` is of calls only: another session of this user has answered, perhaps at the
 * same moment.
 */
export type LeftReason = 'left' | 'lost' | 'kicked' | 'answered-elsewhere';

export interface RoomEvents extends GroupEvents {
  /**
   * What a member has said by `room.broadcast`, or, if `from` is `server`, the operator's server.
   */
  broadcast: { from: string; fromName: string; room: string; data: unknown };
  /**
   * The session was lost, and a new one has joined the room again. Peers whose connection still
   * lives are the same as before.
   */
  rejoined: {};
}

interface Group<Events extends GroupEvents> extends Emitter<Events> {
  readonly session: Session;
  /** By id. A peer whose signaling is lost stays as long as its connection lives. */
  readonly peers: ReadonlyMap<string, Peer>;
  /**
   * Sends the track of that kind to every peer, now and later; null sends nothing. With a name, it
   * is a track of the stream of that name, which is there as long as it has a track.
   */
  replaceTrack(kind: 'audio' | 'video', track: MediaStreamTrack | null, name?: string): Promise<void>;
  /**
   * Sends text or bytes to every peer whose data channel is open and takes it; returns to how many.
   * Throws `bad-data` for anything else.
   */
  send(data: string | ArrayBuffer | ArrayBufferView): number;
}

export interface Room extends Group<RoomEvents> {
  readonly name: string;
  /** How many members the room takes; 0 means no limit. */
  readonly capacity: number;
  /** Joins, once. Rejects with `room-full`, `unauthorized`, `joined`, `no-webrtc`. */
  join(): Promise<void>;
  /**
   * Sends data, whatever JSON can say, to every other member through the hub. Rejects
   * with `rate-limited`, and nobody gets it, while a member has too much of yours to read: send it
   * again in a moment.
   */
  broadcast(data: unknown): Promise<void>;
  /** Leaves, and closes the connections to all its peers. */
  leave(): void;
}

/**
 * A call to a named user or from one: like a room of two, whose peer is there from the start.
 *
 * Its two ends talk by signals, `{signalbox: {call, id, ...}}`, about which the hub knows nothing.
 * The caller chooses the random `id` of the call:
 *
 * - `{call: 'ring', id}` from the caller to "@user"; `{call: 'cancel', id}` if it gives up;
 * - `{call: 'accept', id}` or `{call: 'decline', id, reason?}` from the callee;
 * - `{call: 'peer', id, ...}`, both ways, with what peers say in rooms: see PROTOCOL.md;
 * - `{call: 'end', id}` from either end, also in answer to a call that it doesn't know;
 * - `{call: 'back', id}` to "@user" after the loss of the session, if the user is known: the hub
 *   has forgotten the call.
 */
export interface Call extends Group<GroupEvents> {
  /** The far end. */
  readonly peer: Peer;
  /** Ends the call, for the hub and its relay, too; the other end hears `left`. */
  hangup(): void;
}

export interface IncomingCallEvents {
  /**
   * It rings no more: the caller has given up (`left`) or is gone, another session of this user has
   * answered (`answered-elsewhere`), nobody has for 45 seconds (`unanswered`), or this session has
   * ended. It does not come after `accept` and `decline`.
   */
  canceled: { reason?: LeftReason | ErrorCode };
}

export interface IncomingCall extends Emitter<IncomingCallEvents> {
  /** The caller's peer id, name and user name. */
  readonly from: string;
  readonly name: string;
  readonly user?: string;
  /**
   * Begins the call. Throws `canceled` if it rings no more; the event `canceled` tells when. If
   * another session of this user is faster, the call ends: `left` has the reason
   * `answered-elsewhere`.
   */
  accept(options?: MediaOptions): Call;
  /**
   * The reason is a word for the caller's application, such as `busy`: at most 128 characters.
   * Other sessions of this user ring on; the caller hears the last one that declines.
   */
  decline(reason?: string): void;
}

/**
 * `failed`: the two ends could not agree on a connection, at two attempts; `restartIce` makes
 * another one.
 */
export type PeerState = 'connecting' | 'connected' | 'reconnecting' | 'failed' | 'closed';

export interface Path {
  /** `relay` if either end's relay is used. */
  kind: 'direct' | 'relay';
  /** To the relay, if either end uses one. */
  protocol: 'udp' | 'tcp' | 'tls';
  /** Round trip to the peer in milliseconds; null if the browser doesn't say. */
  rtt: number | null;
}

export interface Peer extends Emitter<PeerEvents> {
  readonly id: string;
  /** As the peer has given it, without what is invisible; not unique. */
  readonly name: string;
  /** The unique handle, if the peer has one. */
  readonly user?: string;
  readonly room: Room | Call;
  /** Of the connection between the two ends. */
  readonly state: PeerState;
  /** Whether the hub knows the peer. One that the hub has lost stays as long as media flows. */
  readonly present: boolean;
  /** All tracks that this peer sends, but for those in streams with a name. */
  readonly stream: MediaStream;
  /** The streams with a name that this peer sends now. */
  readonly streams: ReadonlyMap<string, MediaStream>;
  /**
   * Another one when the peer has been rebuilt. In each pair one end makes all offers, so add
   * tracks to it by `addTrack`, not `addTransceiver`: the other end's offers have room for those.
   *
   * What its senders may send can change at any time, without a new offer; a rebuilt connection has
   * new senders, which `prepare` sets up. This limits a track to so many bits a second:
   *
   *     const sender = peer.connection.getSenders().find((each) => each.track === track);
   *     const parameters = sender.getParameters();
   *     for (const encoding of parameters.encodings) encoding.maxBitrate = 200_000;
   *     await sender.setParameters(parameters);
   *
   * The codec, too, may be changed to another one of `parameters.codecs`, by `encoding.codec`, in
   * browsers that know of that; others ignore it.
   */
  readonly connection: RTCPeerConnection;
  /** How often `connection` has been replaced, with `channel` and the tracks of `stream`. */
  readonly rebuilds: number;
  /** null without a data channel. */
  readonly channel: RTCDataChannel | null;
  /**
   * How media travels now, or null while there is no path. A report of the connection's that there
   * is already, such as `new Map(await connection.getStats())`, saves another one.
   */
  path(report?: ReadonlyMap<string, unknown>): Promise<Path | null>;
  /**
   * Sends text or bytes over the data channel; false if that is not open, or doesn't take it
   * because it is too long or too much is waiting. Throws `bad-data` for anything else.
   */
  send(data: string | ArrayBuffer | ArrayBufferView): boolean;
  /**
   * Looks for a new path while the old one goes on. The SDK does so by itself when the connection
   * fails, stalls or changes its network. It waits while signaling is down, and does so at most
   * every two seconds, and after six times every ten seconds. A peer that has `failed`, whose
   * connection has never had a path, or needs more than one, is rebuilt.
   */
  restartIce(): Promise<void>;
  /** Replaces the connection by another one, which has nothing of the old one's state. */
  rebuild(): void;
}

/** What the hub refuses with: see PROTOCOL.md. */
export type ServerErrorCode =
  | 'bad-frame'
  | 'hello-first'
  | 'internal'
  | 'kicked'
  | 'no-such-peer'
  | 'no-such-room'
  | 'not-in-room'
  | 'rate-limited'
  | 'replaced'
  | 'resume-expired'
  | 'room-full'
  | 'shutting-down'
  | 'slow'
  | 'too-large'
  | 'unauthorized'
  | 'user-taken';

/**
 * What the SDK itself says:
 *
 * - `unreachable`: no connection, over either carrier;
 * - `no-hub`: something answers at the URL, but no hub: its path is wrong, or a proxy in front of
 *   the box answers for it;
 * - `origin-refused`: the hub does not allow pages of this origin: see `allowed_origins`;
 * - `csp-refused`: the page's Content-Security-Policy does not allow the connection:
 *   `connect-src` must name the hub, for `https:` and `wss:`;
 * - `too-many-tabs`: WebSockets don't get through, and four tabs of this origin have a stream of
 *   events. Over HTTP/1.1 browsers have six connections to a host; the rest is for what is sent;
 * - `timeout`: the hub, or a peer that was asked, did not answer in time;
 * - `offline`: signaling is down; for a request, because more than 256 frames or 256 KiB already
 *   wait;
 * - `lost`: the session was lost; whether the hub still carried out the request is unknown;
 * - `closed`: this end has ended the session, or this membership;
 * - `joined`: this session is already in that room;
 * - `too-large`: a frame of the protocol has at most 64 KiB; the SDK refuses longer ones, for
 *   which the hub would end the session;
 * - `no-url`: `connect` needs a `url`: a module of the npm package comes from no hub, as one does
 *   that a page imports from there;
 * - `no-webrtc`: this browser has no WebRTC, or doesn't allow it here: there are sessions, but no
 *   rooms and calls;
 * - `bad-data`: this can't be sent: signals and broadcasts are JSON, and messages between peers are
 *   text or bytes;
 * - `no-channel`: there is no open data channel to the peer;
 * - `negotiation`: the peers could not agree on a session description, at two attempts (`cause`
 *   says why); the peer's state is `failed`, and `restartIce` tries again;
 * - `declined` (see `reason`), `unanswered`, `canceled`: the outcome of a call, or of a question to
 *   a peer; `canceled` also that of a `connect` whose `signal` aborts.
 */
export type ClientErrorCode =
  | 'bad-data'
  | 'canceled'
  | 'closed'
  | 'csp-refused'
  | 'declined'
  | 'joined'
  | 'lost'
  | 'negotiation'
  | 'no-channel'
  | 'no-hub'
  | 'no-url'
  | 'no-webrtc'
  | 'offline'
  | 'origin-refused'
  | 'timeout'
  | 'too-large'
  | 'too-many-tabs'
  | 'unanswered'
  | 'unreachable';

export type ErrorCode = ServerErrorCode | ClientErrorCode;

/** What went wrong: a code to branch on, and a sentence to show. */
export class SignalboxError extends Error {
  private constructor();
  readonly code: ErrorCode;
  /** The hub has said not to reconnect; set on errors that end a connection. */
  readonly final?: boolean;
  /** Why the callee declined: its own word, or `busy` or `unavailable` from the SDK. */
  readonly reason?: string;
  readonly cause?: unknown;
}
