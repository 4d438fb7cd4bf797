// Types of /signalbox.js, and the documentation of every call.
//
//   const session = await connect({ name: 'Ada' });
//   const room = session.room('tea', { stream });
//   room.on('track', ({ peer, stream }) => { video.srcObject = stream; });
//   await room.join();

/** What went wrong: a code to branch on, and a sentence to show. */
export class SignalboxError extends Error {
  private constructor();
  /**
   * From the server: `bad-frame`, `too-large`, `hello-first`, `unauthorized`, `room-full`,
   * `no-such-room`, `no-such-peer`, `not-in-room`, `user-taken`, `rate-limited`, `replaced`,
   * `kicked`, `slow`, `shutting-down`, `internal`.
   *
   * From the SDK:
   * - `unreachable`: no connection, over either carrier;
   * - `timeout`: the hub did not answer in time;
   * - `offline`: signaling is down; for a request, because more than 256 frames or 256 KiB wait
   *   already;
   * - `lost`: the session was lost, and whether what had been asked was still done is not known;
   * - `closed`: the session, or this membership, was ended by this end;
   * - `joined`: this session is in that room already;
   * - `too-large`: a frame of the protocol has 64 KiB at most; the SDK refuses what is longer, or
   *   the hub would end the session;
   * - `negotiation`: the peers could not agree on a session description (`cause` says why);
   * - `declined` (see `reason`), `unanswered`, `canceled`: what has become of a call.
   */
  readonly code: string;
  /** The hub has said not to come back; set on errors that end a connection. */
  readonly final?: boolean;
  /** What the callee said when declining: its own word, or `busy` or `unavailable` from the SDK. */
  readonly reason?: string;
  readonly cause?: unknown;
}

export interface ConnectOptions {
  /** Where the hub is; by default `/signal` on the host that this module was loaded from. */
  url?: string | URL;
  /** For display; not unique. */
  name?: string;
  /** The unique handle behind "@user". */
  user?: string;
  /**
   * Admission, where the box asks for it: the password or a token, or a function that gives it anew
   * for each hello.
   */
  token?: string | (() => string | Promise<string>);
  /**
   * Whether a page that is loaded again keeps its peer id, so that to others it is the same; true
   * by default. The session's key lies in sessionStorage from `pagehide` to the next load, and
   * nowhere else.
   */
  keep?: boolean;
}

/**
 * Opens a signaling session: over a WebSocket, or, where that doesn't get through, over server-sent
 * events and POSTs. Rejects if the first attempt fails. From then on the session comes back by
 * itself, and nothing that was said in it is lost: what is asked meanwhile waits.
 */
export function connect(options?: ConnectOptions): Promise<Session>;

interface Emitter<Events> {
  /** Calls `listener` for each event of that type. Returns a function that ends it. */
  on<Type extends keyof Events>(type: Type, listener: (detail: Events[Type]) => void): () => void;
}

/**
 * `reconnecting` ends with `open`, or with `closed` if the hub says not to come back
 * (`error.final`).
 */
export type SessionState = 'connecting' | 'open' | 'reconnecting' | 'closed';

export type Carrier = 'websocket' | 'sse';

export interface SessionEvents {
  state: { state: SessionState; error?: SignalboxError };
  /**
   * The session goes on after a loss of its connection. With a new address, peers have begun to
   * look for new paths.
   */
  resumed: { addressChanged: boolean };
  carrier: { carrier: Carrier };
  /**
   * New ICE servers have come; the peer connections of all rooms and calls have been given them
   * already.
   */
  ice: { iceServers: RTCIceServer[]; iceExpiresAt: number };
  /**
   * Somebody calls. A session in which nobody listens for this declines by itself, as
   * `unavailable`.
   */
  call: { call: IncomingCall };
  /** A signal that belongs to no negotiation and no call: an application's own data. */
  signal: { from: string; fromName: string; fromUser?: string; room?: string; data: unknown };
  /** An error that answers no request, such as the reason of a close that follows. */
  error: { error: SignalboxError };
}

export interface Session extends Emitter<SessionEvents> {
  /**
   * What others know this session by. It stays the same when the session is lost and rebuilt, and
   * when the box restarts.
   */
  readonly peerId: string;
  readonly name: string;
  readonly user?: string;
  readonly state: SessionState;
  readonly carrier: Carrier;
  /** To be given to an RTCPeerConnection as it is; always the newest. */
  readonly iceServers: RTCIceServer[];
  /** Unix milliseconds; 0: never. */
  readonly iceExpiresAt: number;
  readonly rooms: ReadonlyMap<string, Room>;

  /** Joins a room: every member becomes a peer with a connection of its own. */
  join(room: string, options?: RoomOptions): Promise<Room>;
  /** A room that is not joined yet: subscribe to its events first, then await `room.join()`. */
  room(room: string, options?: RoomOptions): Room;
  /**
   * Calls a user, "@bob" or "bob". Resolves when the call is accepted. Rejects at once with
   * `no-such-peer`; with `declined` and a `reason`; with `unanswered` after 45 seconds, or when the
   * far end has gone; with `canceled` if `signal` aborts. Two who call each other at once have one
   * call, and both promises resolve.
   */
  call(user: string, options?: CallOptions): Promise<Call>;
  /** Sends data to a peer id, or to "@user". Resolves when the server has passed it on. */
  signal(to: string, data: unknown, room?: string): Promise<void>;
  /**
   * Sends one frame of the protocol, now or once there is a connection again; resolves when the
   * server has acknowledged it.
   */
  request(frame: { type: string; [field: string]: unknown }): Promise<void>;
  /** Round trip to the signaling server, in milliseconds. */
  ping(): Promise<number>;
  /** Asks for fresh ICE servers. They are pushed at half of the credential's life too. */
  refreshIce(): Promise<RTCIceServer[]>;
  /** Leaves every room and call, and ends the session. The others hear of it at once. */
  close(): void;
}

export interface MediaOptions {
  /**
   * Its tracks, one of each kind, are sent to every peer; without a stream, the call is receive
   * only.
   */
  stream?: MediaStream;
  /** Use no path but through the box. */
  relayOnly?: boolean;
  /** A data channel for text to each peer; true by default. Both ends must say the same. */
  dataChannel?: boolean;
}

export interface RoomOptions extends MediaOptions {
  /** Admission to this room, where the box asks for it. */
  token?: string;
}

export interface CallOptions extends MediaOptions {
  /** Gives up ringing when it aborts. */
  signal?: AbortSignal;
}

export interface PeerEvents {
  track: { peer: Peer; track: MediaStreamTrack; stream: MediaStream };
  /** The data channel is open: `send` works from here on. */
  open: { peer: Peer };
  /** Text from the data channel. */
  message: { peer: Peer; data: string };
  state: { peer: Peer; state: PeerState };
  /** The peer's own signaling is lost, or back. */
  presence: { peer: Peer; present: boolean };
  /** The path or its round-trip time has been measured anew, every two seconds. */
  path: { peer: Peer; path: Path };
  error: { peer: Peer; error: SignalboxError };
}

/** Events of a room or a call, and those of all its peers. */
export interface GroupEvents extends PeerEvents {
  peer: { peer: Peer };
  /**
   * The peer is gone and its connection closed: `lost` if it is because nothing of it arrives any
   * more. A peer whose page has begun anew under the same id, unknown to the hub, first has `left`
   * as `lost` and then comes as a new `peer`.
   */
  left: { peer: Peer; reason: LeftReason };
  /** It is over for this session. Without an error, because the far end of a call has gone. */
  closed: { error?: SignalboxError };
}

export type LeftReason = 'left' | 'lost' | 'kicked';

export interface RoomEvents extends GroupEvents {
  broadcast: { from: string; fromName: string; room: string; data: unknown };
  /**
   * The session was lost, and the room joined again in a new one. Peers whose connection lives are
   * the same as before.
   */
  rejoined: {};
}

interface Group<Events extends GroupEvents> extends Emitter<Events> {
  readonly session: Session;
  /** By id. Those whose signaling is lost are among them for as long as their connection lives. */
  readonly peers: ReadonlyMap<string, Peer>;
  /** What is sent of that kind to every peer, now and later; null sends nothing. */
  replaceTrack(kind: 'audio' | 'video', track: MediaStreamTrack | null): Promise<void>;
  /** Sends text to every peer whose data channel is open and takes it; says to how many. */
  send(text: string): number;
}

export interface Room extends Group<RoomEvents> {
  readonly name: string;
  /** How many members the room takes; 0 is no limit. */
  readonly capacity: number;
  join(): Promise<void>;
  /** Sends data to every other member through the signaling server. */
  broadcast(data: unknown): Promise<void>;
  leave(): void;
}

/**
 * A call to a named user or from one: like a room of two, with its peer there from the start.
 *
 * Its two ends talk by signals, `{call, id, ...}`, of which the hub knows nothing; `id` is the
 * call's, at random, chosen by the caller:
 *
 * - `{call: 'ring', id}` from the caller to "@user"; `{call: 'cancel', id}` if it gives up;
 * - `{call: 'accept', id}` or `{call: 'decline', id, reason?}` from the callee;
 * - `{call: 'peer', id, tag, for?, description?, candidate?, path?, restart?}`, both ways: what
 *   peers say in rooms, too. `tag` is at random and names the speaker's RTCPeerConnection, `for`
 *   the listener's as far as it is known: data for a former one are ignored, and a new `tag` is
 *   answered by a new connection. `path` is `{kind, protocol}` of the speaker's own end. `restart`
 *   asks the impolite end for an offer that restarts ICE;
 * - `{call: 'end', id}` from either end, also in answer to a call that it doesn't know;
 * - `{call: 'back', id}` to "@user" after the loss of the session, as far as the user is known: the
 *   hub has forgotten who called whom.
 */
export interface Call extends Group<GroupEvents> {
  readonly peer: Peer;
  hangup(): void;
}

export interface IncomingCall extends Emitter<{ canceled: {} }> {
  /** The caller's peer id, name and user name. */
  readonly from: string;
  readonly name: string;
  readonly user?: string;
  /**
   * Begins the call. Throws `canceled` if the caller has given up: listen for `canceled` to know
   * when.
   */
  accept(options?: MediaOptions): Call;
  /** The reason, a word such as `busy`, is for the caller's application: 128 characters at most. */
  decline(reason?: string): void;
}

export type PeerState = 'connecting' | 'connected' | 'reconnecting' | 'closed';

export interface Path {
  kind: 'direct' | 'relay';
  /** To the relay, if the call is relayed by either end. */
  protocol: 'udp' | 'tcp' | 'tls';
  /** Round trip to the peer in milliseconds; null if the browser doesn't say. */
  rtt: number | null;
}

export interface Peer extends Emitter<PeerEvents> {
  readonly id: string;
  readonly name: string;
  readonly user?: string;
  readonly room: Room | Call;
  readonly state: PeerState;
  /** Whether the hub knows of it. One that it has lost stays for as long as media does. */
  readonly present: boolean;
  /** All tracks that this peer sends. */
  readonly stream: MediaStream;
  readonly connection: RTCPeerConnection;
  /** null until the first negotiation, or if there is to be none. */
  readonly channel: RTCDataChannel | null;
  /** How media travels now, or null while there is no path. */
  path(): Promise<Path | null>;
  /**
   * Sends text over the data channel; false if that is not open, or doesn't take it: too long, or
   * too much is waiting.
   */
  send(text: string): boolean;
  /**
   * Looks for a new path while the old one goes on. The SDK does so by itself when the connection
   * fails, stalls or changes its network; while signaling is down it waits, and it happens every
   * two seconds and six times a minute at most.
   */
  restartIce(): void;
}
