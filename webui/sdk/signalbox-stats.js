// What calls go through, for the signalbox SDK: path, round trip, loss, bitrate and codecs, and a
// verdict. One ES module, no dependencies. Types, and the documentation of every call:
// /assets/signalbox-stats.d.ts

export { Stats } from './stats/stats.js';
export { verdictOf } from './stats/verdict.js';
export { verdictWords } from './stats/words.js';
