/**
 * For `globalThis.RTCPeerConnection` in Node: data channels, no media. It needs the package
 * node-datachannel, whose `cleanup()` lets the program end.
 */
export const RTCPeerConnection: typeof globalThis.RTCPeerConnection;
