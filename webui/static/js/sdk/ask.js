import { connect } from '/signalbox.js';
import { Data } from '/signalbox-data.js';

export default async function run(print, token) {
  const ada = await connect({ name: 'Ada', token, keep: false });
  const bob = await connect({ name: 'Bob', token, keep: false });
  const name = `docs-${Math.random()}`;
  try {
    const hers = ada.room(name);
    const his = bob.room(name);
    const data = new Data(hers);
    new Data(his).on('ask', ({ data: { a, b }, answer }) => answer(a * b));
    const open = new Promise((resolve) => hers.on('open', resolve));
    await hers.join();
    await his.join();
    const { peer } = await open;
    print(`6 times 7 is ${await data.ask(peer, { a: 6, b: 7 })}`);
  } finally {
    ada.close();
    bob.close();
  }
}
