// The signalbox SDK: signaling and peer connections for browsers. One ES module, no dependencies.
// Types and documentation: /assets/signalbox.d.ts

export { SignalboxError } from './errors.js';
export { connect } from './session.js';
