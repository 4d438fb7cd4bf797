// Types of /signalbox-data.js, and the documentation of every call.
//
//   import { Data } from '/signalbox-data.js'; // npm: 'signalbox/data'
//   const data = new Data(room, { meta: { hand: false } });
//   data.on('message', ({ peer, data }) => console.info(peer.name, data));
//   data.send({ x: 1, y: 2 });
//   await data.transfer(file, { onprogress: ({ peer, sent, total }) => show(peer, sent / total) });

import type { Call, Emitter, Peer, Room } from './signalbox.js';

/** What JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

export type Bytes = ArrayBuffer | ArrayBufferView;

export interface DataEvents {
  /** JSON and text as they were, and bytes as an ArrayBuffer. */
  message: { peer: Peer; data: Json | ArrayBuffer };
  /** So many bytes have come of a message that comes in pieces. */
  progress: { peer: Peer; received: number; total: number };
  /**
   * A question: `answer` takes the answer or a promise of it; if that rejects, the one who asks
   * gets `declined` with its message. Without a listener, the answer is `unanswered`.
   */
  ask: { peer: Peer; data: Json; answer: (data: Json | Promise<Json>) => void };
  /** What a peer says of itself is there, or has changed. */
  meta: { peer: Peer; meta: Json };
}

export interface TransferOptions {
  /** To this peer only. */
  peer?: Peer;
  /** So many bytes have been handed to the browser for that peer. */
  onprogress?: (progress: { peer: Peer; sent: number; total: number }) => void;
  /** Gives up when it aborts: `canceled`. */
  signal?: AbortSignal;
}

/**
 * Data between the peers of a room or a call, over the data channel that the SDK has with each:
 * from browser to browser, encrypted, and not through the hub. The far ends need a
 * `Data`, too. Make it before `room.join()`, so that it hears everything. Text that is sent by
 * `room.send` passes beside it; all bytes on the channel are its own, so send yours by it.
 */
export interface Data extends Emitter<DataEvents> {}
export class Data {
  /**
   * `meta` is what this end says of itself to every peer, also to those who come later. What comes
   * in pieces and is longer than `longest` bytes is refused: the `transfer` there rejects with
   * `too-large`. Without it, that is 256 MiB; 0 refuses all.
   */
  constructor(room: Room | Call, options?: { meta?: Json; longest?: number });
  /** What a peer says of itself, once it is known. */
  metaOf(peer: Peer): Json | undefined;
  /** Says something else of this end. */
  setMeta(meta: Json): void;
  /**
   * Sends a message in one piece, to every peer or to one; returns to how many. That are those
   * whose channel is open and takes it: what is longer than 256 KiB, or 64 KiB for some browsers,
   * goes by `transfer`. Throws `bad-data` for what neither JSON nor bytes can say.
   */
  send(data: Json | Bytes, peer?: Peer): number;
  /**
   * Sends a message of up to 256 MiB in pieces, one message after the other, no faster than it goes
   * out. Resolves, with to how many peers, when the last piece is handed to the browser: with 0 if
   * nobody is there. Rejects if none of them got it: `no-channel`, `too-large`, also for the far
   * end's `longest`, `canceled`, `bad-data`.
   */
  transfer(data: Json | Bytes | Blob, options?: TransferOptions): Promise<number>;
  /** Resolves when little of what was sent still waits, to every peer or to one. */
  drain(peer?: Peer): Promise<void>;
  /**
   * Asks a peer. Rejects with `no-channel`; with `unanswered` if nobody listens there; with
   * `declined` and a `reason`; with `timeout` after 10 seconds or so many milliseconds; with `lost`
   * if the peer goes.
   */
  ask(peer: Peer, data: Json, options?: { timeout?: number }): Promise<Json>;
  /** Ends it, and all questions and transfers; the channels stay. */
  close(): void;
}
