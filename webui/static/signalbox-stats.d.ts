// Types of /signalbox-stats.js, and the documentation of every call.
//
//   import { Stats, verdictWords } from '/signalbox-stats.js'; // npm: 'signalbox/stats'
//   room.on('peer', ({ peer }) => {
//     const stats = new Stats(peer);
//     stats.on('sample', ({ sample }) => console.info(sample.path, sample.rtt, sample.up.bitrate));
//     stats.on('verdict', ({ verdict }) => show(verdictWords(verdict)));
//   });

import type { Emitter } from './signalbox.js';

/** Through which a peer is reached: straight, or through a relay; by what the relay is reached. */
export type PathName = 'direct' | 'relay-udp' | 'relay-tcp' | 'relay-tls';

/** What went through a connection in about a second. */
export interface Sample {
  /** Unix milliseconds. */
  readonly at: number;
  /**
   * Milliseconds in which the browser answered. The threads that answer carry voices and pictures,
   * too: above some hundred, the machine has no time left, whatever the browser says.
   */
  readonly took: number;
  /** null while there is none. */
  readonly path: PathName | null;
  /** Round trip to the peer in milliseconds; null if the browser doesn't say. */
  readonly rtt: number | null;
  readonly up: Uplink;
  readonly down: Direction<Received>;
  /** The selected pair, as this browser sees it; null while there is none. */
  readonly candidates: { readonly local: Candidate; readonly remote: Candidate } | null;
}

/** One end of a path. */
export interface Candidate {
  readonly type: 'host' | 'srflx' | 'prflx' | 'relay';
  /** Of what leaves that end: to a relay, another one may lead. */
  readonly protocol: 'udp' | 'tcp';
  /** null where the browser hides it. */
  readonly address: string | null;
  readonly port: number | null;
}

export interface Direction<Kind extends Flow> {
  /** Bits a second of audio and video, with RTP's headers where the browser counts them. */
  readonly bitrate: number;
  /** Packets that were sent, or expected, in this sample; without repeated ones. */
  readonly packets: number;
  /** Those of them that are known to be lost; null if nothing has been said of losses yet. */
  readonly lost: number | null;
  /** The share of packets lost within ten samples, from 0 to 1; null if too few packets tell. */
  readonly loss: number | null;
  readonly audio: Kind | null;
  readonly video: (Kind & Picture) | null;
}

export interface Uplink extends Direction<Sent> {
  /** What the browser takes for the uplink's width, in bits a second; null if it doesn't say. */
  readonly available: number | null;
  /**
   * Frames of this sample that cameras and screens have given, sent or not; null without a camera
   * or screen, in the first sample with one, and if the browser doesn't say. A camera that is shown
   * here and gives none (0) has hung, or speaks a format that the browser can't send.
   */
  readonly captured: number | null;
}

export interface Flow {
  /** Such as `opus`, `VP8`, `H264`; null if the browser doesn't say. */
  readonly codec: string | null;
  /** Bits a second. */
  readonly bitrate: number;
}

export interface Sent extends Flow {
  /** What keeps the picture from being better, as the browser says. */
  readonly limited: 'none' | 'cpu' | 'bandwidth' | 'other';
}

export interface Received extends Flow {
  /** Milliseconds. */
  readonly jitter: number;
}

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** Frames a second. */
  readonly fps: number;
  /** Of what is received: frames of this sample that were decoded, of all pictures. */
  readonly frames?: number;
  /** Of what is received: frames of this sample that found no time to be shown, of all pictures. */
  readonly dropped?: number;
}

/**
 * What is wrong, the worst first, as the last ten samples have it:
 * - `unknown`: there are fewer than three;
 * - `no-path`: the peer isn't connected now;
 * - `uplink-loss`, `downlink-loss`: 3 % or more of what is sent, or received, are lost. That is
 *   between the two ends: with one peer, nobody can tell on whose line;
 * - `slow`: a round trip takes 400 ms or more;
 * - `jitter`: what arrives is uneven by 80 ms or more;
 * - `uplink-narrow`: the browser would send more, if it got through (Chromium tells);
 * - `cpu`: the browser would send a better picture, if it had the time (Chromium tells);
 * - `good`: none of these.
 */
export type Verdict =
  | { readonly code: 'unknown' | 'no-path' | 'uplink-narrow' | 'cpu' | 'good' }
  | { readonly code: 'uplink-loss' | 'downlink-loss'; readonly percent: number }
  | { readonly code: 'slow'; readonly rtt: number }
  | { readonly code: 'jitter'; readonly jitter: number };

export interface StatsEvents {
  sample: { sample: Sample };
  /** Another verdict than before, or other figures. */
  verdict: { verdict: Verdict };
}

/**
 * Asks a connection for its statistics once a second, until `stop`, or until the peer or the
 * connection is closed. A peer's connection may be replaced meanwhile. Samples begin with the
 * second report.
 */
export interface Stats extends Emitter<StatsEvents> {}
export class Stats {
  /** A peer of /signalbox.js, which knows how its far end is relayed, too; or any connection. */
  constructor(source: RTCPeerConnection | StatsSource);
  /** Those of the last minute, oldest first: 60 at most. */
  readonly samples: readonly Sample[];
  readonly last: Sample | null;
  readonly verdict: Verdict;
  stop(): void;
}

/** As much of a peer as is needed. */
export interface StatsSource {
  readonly connection: RTCPeerConnection;
  readonly state?: string;
  path?(report: ReadonlyMap<string, unknown>):
    Promise<{ kind: 'direct' | 'relay'; protocol: 'udp' | 'tcp' | 'tls'; rtt: number | null } | null>;
}

/** What samples come to, oldest first: for those that an application has kept. */
export function verdictOf(samples: readonly Sample[]): Verdict;

/** "Your uplink loses 8 %.": Chinese for `zh...`, else English; by default the browser's. */
export function verdictWords(verdict: Verdict, language?: string): string;
