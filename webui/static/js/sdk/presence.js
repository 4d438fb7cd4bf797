import { connect } from '/signalbox.js';
import { Data } from '/signalbox-data.js';

export default async function run(print, token) {
  const ada = await connect({ name: 'Ada', token, keep: false });
  const bob = await connect({ name: 'Bob', token, keep: false });
  const name = `docs-${Math.random()}`;
  try {
    const hers = ada.room(name);
    const his = bob.room(name);
    const data = new Data(his, { meta: { hand: false } });
    const raised = new Promise((resolve) => {
      new Data(hers).on('meta', ({ peer, meta }) => {
        print(`${peer.name}'s hand is ${meta.hand ? 'up' : 'down'}`);
        if (meta.hand) resolve();
        else data.setMeta({ hand: true });
      });
    });
    await hers.join();
    await his.join();
    await raised;
  } finally {
    ada.close();
    bob.close();
  }
}
