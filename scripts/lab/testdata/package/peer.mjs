// A peer in Node. Arguments: the hub's URL and a room. It says to each peer what it hears, writes
// that down, and ends with an interrupt.
import { webcrypto } from 'node:crypto';
import datachannel from 'node-datachannel';
import { connect } from 'signalbox';
import { RTCPeerConnection } from 'signalbox/node-datachannel';
import ws from 'ws';

globalThis.RTCPeerConnection = RTCPeerConnection;
// What Node has itself from version 22 on.
globalThis.WebSocket ??= class extends ws {
  constructor(...args) {
    super(...args);
    this.on('error', () => {}); // one that nobody hears ends the program
  }
};
globalThis.crypto ??= webcrypto;

const session = await connect({ url: process.argv[2], name: 'node' });
const room = session.room(process.argv[3]);
room.on('error', ({ error }) => console.error(error, error.cause));
room.on('message', ({ peer, data }) => {
  console.log(`${peer.name}: ${data}`);
  peer.send(`echo: ${data}`);
});
await room.join();
console.log('joined');
process.on('SIGINT', () => {
  session.close();
  datachannel.cleanup();
});
