// Data from peer to peer, for the signalbox SDK: JSON, text and bytes of any length, questions, and
// what each peer says of itself. One ES module, no dependencies. Types, and the documentation of
// every call: /assets/signalbox-data.d.ts

export { Data } from './data/data.js';
