import { connect } from '/signalbox.js';

export default async function run(print, token) {
  const ada = await connect({ name: 'Ada', token, keep: false });
  const bob = await connect({ name: 'Bob', token, keep: false });
  const name = `docs-${Math.random()}`;
  try {
    const hers = ada.room(name);
    const his = bob.room(name);
    const heard = new Promise((resolve) => {
      his.on('message', ({ peer, data }) => resolve(`${peer.name} says: ${data}`));
    });
    hers.on('open', ({ peer }) => peer.send(`Hello, ${peer.name}!`));
    await hers.join();
    await his.join();
    print(await heard);
  } finally {
    ada.close();
    bob.close();
  }
}
