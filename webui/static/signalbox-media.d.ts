// Types of /signalbox-media.js, and the documentation of every call.
//
//   import { Media } from '/signalbox-media.js'; // npm: 'signalbox/media'
//   const media = new Media();
//   await media.open(); // asks for microphone and camera, and takes what can be had
//   const stream = new MediaStream([media.microphone, media.camera].filter(Boolean));
//   const room = await session.join('tea', { stream });
//   media.on('track', ({ kind, track }) => {
//     if (kind !== 'screen') room.replaceTrack(kind === 'camera' ? 'video' : 'audio', track);
//   });

import type { Emitter } from './signalbox.js';

export type DeviceKind = 'microphone' | 'camera';
export type MediaKind = DeviceKind | 'screen';

/**
 * Why a device can't be had:
 * - `insecure`: browsers give devices to secure pages only;
 * - `unsupported`: this browser can't;
 * - `policy`: the page is embedded in one that doesn't allow it (Chromium tells);
 * - `denied`: the visitor, or a setting of the browser, refuses it;
 * - `dismissed`: the visitor didn't answer, or chose no screen;
 * - `system`: the operating system refuses it to the browser (Chromium tells);
 * - `gesture`: the browser wants the visitor to click first;
 * - `missing`: there is none, or not the one that was asked for;
 * - `constraints`: none can do what is asked of it;
 * - `busy`: another program has it, or the hardware fails;
 * - `unplugged`: it was unplugged; `ended`: it ended by itself, or the visitor has withdrawn it;
 * - `superseded`: `close`, `mute`, `unshare` or a newer request came before the answer;
 * - `failed`: anything else (`cause` says what).
 */
export type MediaErrorCode =
  | 'insecure' | 'unsupported' | 'policy' | 'denied' | 'dismissed' | 'system' | 'gesture' | 'missing'
  | 'constraints' | 'busy' | 'unplugged' | 'ended' | 'superseded' | 'failed';

export class MediaError extends Error {
  private constructor();
  readonly code: MediaErrorCode;
  readonly kind: MediaKind | 'speaker';
  /** What the browser said, if it said anything. */
  readonly cause?: unknown;
  /** A sentence for people: Chinese for `zh...`, else English; by default as the browser has it. */
  words(language?: string): string;
}

export interface MediaOptions {
  /** Replaces the SDK's: echo cancellation, noise suppression, automatic gain. */
  microphone?: MediaTrackConstraints;
  /** Replaces the SDK's: 1280 x 720 at 30 frames a second, if it can be had. */
  camera?: MediaTrackConstraints;
  /** Replaces the SDK's: video at up to 30 frames a second, without sound. */
  screen?: DisplayMediaStreamOptions;
  /**
   * Whether muting frees the device. By default it frees the camera, so that its light goes out,
   * and keeps the microphone, so that speaking again takes no time.
   */
  frees?: { microphone?: boolean; camera?: boolean };
  /**
   * The key in localStorage under which chosen devices are remembered, by default
   * `signalbox.devices`; false: not at all.
   */
  remember?: string | false;
}

/** Why a track came or went. */
export type TrackReason =
  /** `open`, `unmute` or `share` has opened it. */
  | 'opened'
  /** `use` has. */
  | 'switched'
  /** Another device took the place of one that was unplugged, or couldn't be switched. */
  | 'fallback'
  /** `mute` has freed it. */
  | 'muted'
  /** `close` or `unshare` has ended it. */
  | 'closed'
  /** It was unplugged, withdrawn by the visitor, or sharing was stopped in the browser. */
  | 'ended';

export interface MediaEvents {
  /** What is to be sent of that kind from now on: for `replaceTrack`. */
  track: { kind: MediaKind; track: MediaStreamTrack | null; reason: TrackReason };
  muted: { kind: DeviceKind; muted: boolean };
  /** There are other devices than before, or their names are known now. */
  devices: { devices: Devices };
  error: { kind: MediaKind; error: MediaError };
}

/** Their names are empty until the visitor has allowed one of them. */
export interface Devices {
  readonly microphone: readonly MediaDeviceInfo[];
  readonly camera: readonly MediaDeviceInfo[];
  /** Empty where the browser doesn't list speakers. */
  readonly speaker: readonly MediaDeviceInfo[];
}

/**
 * Microphone, camera, screen and speaker of this browser. Each is asked for, opened and ended apart
 * from the others. What the browser gives for a request that has been given up meanwhile, however
 * late, is stopped at once and seen by nobody.
 */
export interface Media extends Emitter<MediaEvents> {}
export class Media {
  constructor(options?: MediaOptions);

  readonly microphone: MediaStreamTrack | null;
  readonly camera: MediaStreamTrack | null;
  /** Beside the camera; both may be sent. */
  readonly screen: MediaStreamTrack | null;
  /** The sound of what is shared, if it was asked for and given. */
  readonly screenSound: MediaStreamTrack | null;
  readonly devices: Devices;
  /** Whether this browser can share a screen. */
  readonly canShare: boolean;
  /** How loud the microphone is now, from 0 to 1; 0 while it is muted. To be asked repeatedly. */
  readonly level: number;

  /** Whether it is open and not muted. */
  isOn(kind: MediaKind): boolean;
  /** Whether the browser has been asked for it and hasn't answered. */
  isPending(kind: MediaKind): boolean;
  isMuted(kind: DeviceKind): boolean;
  /** Why there is none; null if nobody has asked for it, or all is well. */
  errorOf(kind: MediaKind): MediaError | null;
  /** The id of the device in use; null if none is; '' is the system's own speaker. */
  deviceOf(kind: DeviceKind | 'speaker'): string | null;

  /**
   * Opens devices, by one question to the visitor, and resolves when each is open, has failed (see
   * `errorOf`) or is given up; never rejects. A device that is muted and freed stays off. The
   * remembered device is preferred. Until `close`, what is unplugged is replaced by another of its
   * kind, or by itself when it is back.
   */
  open(kinds?: readonly DeviceKind[]): Promise<void>;
  /** `free` for this once; see `MediaOptions.frees`. What is still asked for is freed, too. */
  mute(kind: DeviceKind, options?: { free?: boolean }): void;
  /** Opens the device again if it was freed. Rejects with a MediaError. */
  unmute(kind: DeviceKind): Promise<MediaStreamTrack>;
  /**
   * Switches to a device, and remembers it. The old one goes on until the new one is open, and
   * stays if that fails. What isn't open is only remembered. Rejects with a MediaError.
   */
  use(kind: DeviceKind | 'speaker', deviceId: string): Promise<void>;
  /** Shares a screen in the place of the one that is shared. Rejects with a MediaError. */
  share(options?: DisplayMediaStreamOptions): Promise<MediaStreamTrack>;
  unshare(): void;
  /** Has an element play through the speaker in use. Returns a function that ends it. */
  play(element: HTMLMediaElement): () => void;
  /** Ends everything and frees all devices; what is asked for is given up. `open` begins anew. */
  close(): void;
}

/** How loud a track is. Chromium measures a track of a peer only while an element plays it. */
export class Meter {
  constructor(track: MediaStreamTrack);
  readonly track: MediaStreamTrack;
  /** From 0 to 1, on a scale of decibels: 60 dB under full level, and less, is 0. */
  readonly level: number;
  stop(): void;
}
