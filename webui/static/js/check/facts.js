// What was measured of one server, as a row of columns.
import { bracketed, tellsMapped } from './addresses.js';
import { KBIT } from './flow.js';

/**
 * The facts of a server's row: [{name, words, params}]. `result` is a probe's, `loop` that of the
 * relay data test or null, `allocated` the box's sighting of an allocation, if it tells.
 */
export function factsOf({ candidates, ms }, loop, allocated) {
  const relay = candidates.find(({ type }) => type === 'relay');
  const mapped = candidates.find(({ type }) => type === 'srflx');
  const facts = [];
  const add = (name, words, value, more) => facts.push({ name, words, params: { value, ...more } });
  const addAddress = (name, address, port) =>
    add(name, 'fact.text', port ? `${bracketed(address)}:${port}` : bracketed(address));
  if (mapped) addAddress('fact.mapped', mapped.address, mapped.port);
  else if (relay && tellsMapped(relay)) addAddress('fact.mapped', relay.relatedAddress, relay.relatedPort);
  else if (allocated) add('fact.mapped', 'fact.text', allocated.client);
  if (relay) addAddress('fact.relay', relay.address, relay.port);
  if (ms) add('fact.first', 'fact.ms', ms);
  if (loop?.ok) add('fact.rtt', 'fact.ms', loop.median);
  if (loop?.flow) {
    add('fact.rate', 'fact.kbit', loop.flow.kbit, { of: KBIT });
    add('fact.loss', 'fact.percent', loop.flow.loss);
  }
  return facts;
}
