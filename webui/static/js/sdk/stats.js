import { connect } from '/signalbox.js';
import { Stats, verdictWords } from '/signalbox-stats.js';

export default async function run(print, token) {
  const ada = await connect({ name: 'Ada', token, keep: false });
  const bob = await connect({ name: 'Bob', token, keep: false });
  const name = `docs-${Math.random()}`;
  try {
    const hers = ada.room(name);
    const his = bob.room(name);
    const open = new Promise((resolve) => hers.on('open', resolve));
    await hers.join();
    await his.join();
    const stats = new Stats((await open).peer);
    print('measuring for some seconds ...');
    await new Promise((resolve) => {
      stats.on('verdict', ({ verdict }) => verdict.code !== 'unknown' && resolve());
    });
    print(`path: ${stats.last.path}, round trip: ${stats.last.rtt} ms`);
    print(verdictWords(stats.verdict, document.documentElement.lang));
  } finally {
    ada.close();
    bob.close();
  }
}
