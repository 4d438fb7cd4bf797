// Devices for the signalbox SDK: microphone, camera, screen and speaker. One ES module, no
// dependencies. Types, and the documentation of every call: /assets/signalbox-media.d.ts

export { MediaError } from './devices/errors.js';
export { Media } from './devices/media.js';
export { Meter } from './devices/meter.js';
