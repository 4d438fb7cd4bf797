// What was measured of one server, as a row of columns.

/** Whether an address says something: browsers put zeros for what they keep to themselves. */
const isTold = (address) => Boolean(address) && address !== '0.0.0.0' && address !== '::';

/**
 * The facts of a server's row: [{name, words, params}]. `result` is a probe's, `loop` that of the
 * relay data test or null, `allocated` the box's sighting of an allocation, if it tells.
 */
export function factsOf({ candidates, ms }, loop, allocated) {
  const relay = candidates.find(({ type }) => type === 'relay');
  const mapped = candidates.find(({ type }) => type === 'srflx');
  const facts = [];
  const add = (name, words, value) => facts.push({ name, words, params: { value } });
  const addAddress = (name, address, port) => {
    const host = address.includes(':') ? `[${address}]` : address;
    add(name, 'fact.text', port ? `${host}:${port}` : host);
  };
  if (mapped) addAddress('fact.mapped', mapped.address, mapped.port);
  else if (isTold(relay?.relatedAddress)) addAddress('fact.mapped', relay.relatedAddress, relay.relatedPort);
  else if (allocated) add('fact.mapped', 'fact.text', allocated.client);
  if (relay) addAddress('fact.relay', relay.address, relay.port);
  if (ms) add('fact.first', 'fact.ms', ms);
  if (loop?.ok) add('fact.rtt', 'fact.ms', loop.median);
  if (loop?.flow) {
    add('fact.rate', 'fact.kbit', loop.flow.kbit);
    add('fact.loss', 'fact.percent', loop.flow.loss);
  }
  return facts;
}
