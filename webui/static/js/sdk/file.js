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
    const arrived = new Promise((resolve) => {
      new Data(his).on('message', ({ data: file }) => resolve(file));
    });
    const open = new Promise((resolve) => hers.on('open', resolve));
    await hers.join();
    await his.join();
    await open;
    await data.transfer(new Blob([new Uint8Array(1_000_000)]));
    print(`${(await arrived).byteLength} bytes have arrived`);
  } finally {
    ada.close();
    bob.close();
  }
}
