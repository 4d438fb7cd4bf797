// What two devices have found, put together.
import { readVerdict } from './saved.js';
import { titleOf } from './servers.js';

/** Of a report, what the other device is told. */
export function essence({ verdict, text, servers }) {
  return {
    verdict,
    text,
    servers: servers.filter(({ origin }) => origin === 'box')
      .map(({ url, family, verdict: own }) => ({ url, family, verdict: own })),
  };
}

/**
 * The verdict over both, and `also` what differs. `rtt` is that of their call through the relay, in
 * milliseconds, or null: they had none.
 */
export function ofBoth(mine, theirs, rtt) {
  const also = [
    { words: 'second.here', params: { text: mine.text } },
    { words: 'second.there', params: { text: readVerdict(theirs).params?.text } },
    ...differences(mine, theirs),
  ];
  const [here, there] = [mine, theirs].map(({ verdict }) => ['good', 'warn'].includes(verdict));
  if (rtt !== null) {
    const isWell = here && there;
    return { verdict: isWell ? 'good' : 'warn', words: isWell ? 'second.good' : 'second.call', params: { rtt }, also };
  }
  const words = here ? (there ? 'second.nocall' : 'second.onlyhere') : there ? 'second.onlythere' : 'second.neither';
  return { verdict: 'bad', words, also };
}

function differences(mine, theirs) {
  return mine.servers.flatMap((server) => {
    const other = theirs.servers.find((one) => one?.url === server.url && one.family === server.family);
    if (!other) return [];
    const [here, there] = [server, other].map(({ verdict }) => verdict !== 'bad');
    if (here === there) return [];
    return [{ words: here ? 'second.differs.here' : 'second.differs.there', params: { url: titleOf(server) } }];
  });
}
