// What two devices have found, put together.
import { known, t } from '../i18n.js';
import { textOf } from './saved.js';
import { titleOf } from './servers.js';
import { works } from './verdict.js';

/** Of a report, what the other device is told. */
export function essence({ verdict, reason, params, text, servers }) {
  return {
    verdict,
    reason,
    params,
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
    { words: 'second.here', params: { text: inOwnWords(mine) } },
    { words: 'second.there', params: { text: inOwnWords(theirs) } },
    ...differences(mine, theirs),
  ];
  const [here, there] = [mine, theirs].map(({ verdict }) => works(verdict));
  if (rtt !== null) {
    const isWell = here && there;
    return { verdict: isWell ? 'good' : 'warn', words: isWell ? 'second.good' : 'second.call', params: { rtt }, also };
  }
  const words = here ? (there ? 'second.nocall' : 'second.onlyhere') : there ? 'second.onlythere' : 'second.neither';
  return { verdict: 'bad', words, also };
}

// In the language of this page, whatever the other one's is.
function inOwnWords({ reason, params, text }) {
  if (typeof reason !== 'string' || !/^(overall|end)\./.test(reason) || !known(reason)) return textOf(text);
  const read = (value) => (Array.isArray(value) ? value.map(textOf) : textOf(value));
  const its = Object.fromEntries(Object.entries(params ?? {}).map(([name, value]) => [name, read(value)]));
  return () => t(reason, its);
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
