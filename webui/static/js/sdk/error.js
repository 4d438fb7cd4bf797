import { connect } from '/signalbox.js';

export default async function run(print, token) {
  const session = await connect({ name: 'Ada', token, keep: false });
  try {
    await session.call('nobody-of-this-name');
  } catch (error) {
    if (error.code !== 'no-such-peer') throw error;
    print(`${error.code}: ${error.message}`);
  } finally {
    session.close();
  }
}
