import { connect } from '/signalbox.js';

export default async function run(print, token) {
  const session = await connect({ name: 'Ada', token, keep: false });
  print(`connected over ${session.carrier} as ${session.peerId}`);
  print(`${session.iceServers.length} ICE servers, with credentials, have come along`);
  print(`round trip to the box: ${Math.round(await session.ping())} ms`);
  session.close();
}
