// Types of /signalbox.js.

/** What went wrong: a code to branch on, and a sentence to show. */
export class SignalboxError extends Error {
  /**
   * From the server: `bad-frame`, `too-large`, `hello-first`, `unauthorized`, `room-full`, `no-such-room`, `no-such-peer`,
   * `not-in-room`, `user-taken`, `rate-limited`, `resume-expired`, `replaced`, `kicked`, `slow`, `shutting-down`, `internal`.
   * From the SDK: `unreachable`, `offline`, `timeout`, `closed`, `joined`, `negotiation`.
   */
  readonly code: string;
  /** The server has said not to come back; set on errors that end a connection. */
  readonly final?: boolean;
}

export interface ConnectOptions {
  /** Where the hub is; by default `/signal` on the host that this module was loaded from. */
  url?: string | URL;
  /** For display; not unique. */
  name?: string;
  /** The unique handle behind "@user". */
  user?: string;
  /** Admission, where the box asks for it. */
  token?: string;
}

/** Opens a signaling session. Rejects if the first attempt fails; from then on the session reconnects by itself. */
export function connect(options?: ConnectOptions): Promise<Session>;

interface Emitter<Events> {
  /** Calls `listener` for each event of that type. Returns a function that ends it. */
  on<Type extends keyof Events>(type: Type, listener: (detail: Events[Type]) => void): () => void;
}

export type SessionState = 'connecting' | 'open' | 'reconnecting' | 'closed';

export interface SessionEvents {
  state: { state: SessionState; error?: SignalboxError };
  /** New ICE servers have come; the peer connections of all rooms have been given them already. */
  ice: { iceServers: RTCIceServer[]; iceExpiresAt: number };
  /** A signal that belongs to no room's negotiation: a call from a named user, or an application's own data. */
  signal: { from: string; fromName: string; fromUser?: string; room?: string; data: unknown };
  /** An error that answers no request, such as the reason of a close that follows. */
  error: { error: SignalboxError };
}

export interface Session extends Emitter<SessionEvents> {
  readonly peerId: string;
  readonly name: string;
  readonly user?: string;
  readonly state: SessionState;
  /** To be given to an RTCPeerConnection as it is; always the newest. */
  readonly iceServers: RTCIceServer[];
  /** Unix milliseconds. */
  readonly iceExpiresAt: number;
  readonly rooms: ReadonlyMap<string, Room>;

  /** Joins a room: every member becomes a peer with a connection of its own. */
  join(room: string, options?: RoomOptions): Promise<Room>;
  /** A room that is not joined yet: subscribe to its events first, then await `room.join()`. */
  room(room: string, options?: RoomOptions): Room;
  /** Sends data to a peer id, or to "@user". Resolves when the server has passed it on. */
  signal(to: string, data: unknown, room?: string): Promise<void>;
  /** Sends one frame of the protocol and resolves when the server has acknowledged it. */
  request(frame: { type: string; [field: string]: unknown }): Promise<void>;
  /** Round trip to the signaling server, in milliseconds. */
  ping(): Promise<number>;
  /** Asks for fresh ICE servers. They are pushed at half of the credential's life too. */
  refreshIce(): Promise<RTCIceServer[]>;
  /** Leaves every room and ends the session. */
  close(): void;
}

export interface RoomOptions {
  /** Its tracks, one of each kind, are sent to every peer; without a stream, the call is receive only. */
  stream?: MediaStream;
  /** Use no path but through the box. */
  relayOnly?: boolean;
  /** A data channel for text to each peer; true by default. */
  dataChannel?: boolean;
  /** Admission to this room, where the box asks for it. */
  token?: string;
}

export interface PeerEvents {
  track: { peer: Peer; track: MediaStreamTrack; stream: MediaStream };
  /** The data channel is open: `send` works from here on. */
  open: { peer: Peer };
  /** Text from the data channel. */
  message: { peer: Peer; data: string };
  state: { peer: Peer; state: PeerState };
  /** The path or its round-trip time has been measured anew, every two seconds. */
  path: { peer: Peer; path: Path };
  error: { peer: Peer; error: SignalboxError };
}

/** Events of the room, and those of all its peers. */
export interface RoomEvents extends PeerEvents {
  peer: { peer: Peer };
  left: { peer: Peer; reason: 'left' | 'lost' | 'kicked' };
  broadcast: { from: string; fromName: string; room: string; data: unknown };
  /** The signaling connection has been rebuilt and the room joined again, with peers that are new. */
  rejoined: {};
  /** The room is over for this session: it ended, or joining again was refused. */
  closed: { error: SignalboxError };
}

export interface Room extends Emitter<RoomEvents> {
  readonly session: Session;
  readonly name: string;
  /** How many members the room takes; 0 is no limit. */
  readonly capacity: number;
  readonly peers: ReadonlyMap<string, Peer>;
  join(): Promise<void>;
  /** What is sent of that kind to every peer, now and later; null sends nothing. */
  replaceTrack(kind: 'audio' | 'video', track: MediaStreamTrack | null): Promise<void>;
  /** Sends text to every peer whose data channel is open. */
  send(text: string): void;
  /** Sends data to every other member through the signaling server. */
  broadcast(data: unknown): Promise<void>;
  leave(): void;
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
  readonly room: Room;
  readonly state: PeerState;
  /** All tracks that this peer sends. */
  readonly stream: MediaStream;
  readonly connection: RTCPeerConnection;
  /** null until the first negotiation, or if the room has none. */
  readonly channel: RTCDataChannel | null;
  /** How media travels now, or null while there is no path. */
  path(): Promise<Path | null>;
  /** Sends text over the data channel; false if it is not open. */
  send(text: string): boolean;
  /** Looks for a new path while the old one goes on. */
  restartIce(): void;
}
