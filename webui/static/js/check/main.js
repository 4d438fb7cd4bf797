// /check: every ICE server by itself, then data through the relay, then whether its ports can be
// reached, then one verdict.
import { connect } from '/signalbox.js';
import { byId, copy } from '../dom.js';
import { say, start } from '../i18n.js';
import { askPass, keepPass, pass, takePass } from '../pass.js';
import { OwnServers } from './own.js';
import { mappedAddress, probe } from './probe.js';
import { reachLoop, relayLoop } from './relay.js';
import { makeReport } from './report.js';
import { flatten } from './servers.js';
import { ofReach, ofRelay, ofServer, overall } from './verdict.js';
import { addCandidate, addError, begin, showVerdict } from './view.js';

start();
takePass();
const own = new OwnServers();
byId('run').addEventListener('click', run);
byId('pass-form').addEventListener('submit', (event) => {
  event.preventDefault();
  if (!byId('run').disabled) run();
});
byId('copy-report').addEventListener('click', async () => {
  const done = await copy(JSON.stringify(window.signalboxReport, null, 2));
  say(byId('report-said'), done ? 'copied' : 'copy.failed');
});
run();

async function run() {
  const started = Date.now();
  window.signalboxReport = undefined;
  byId('run').disabled = byId('copy-report').disabled = true;
  say(byId('report-said'), '');
  delete byId('relay-test').dataset.rtt;
  showVerdict(byId('verdict'), { verdict: 'running', words: 'overall.asking' });
  for (const id of ['relay-test', 'reach-test']) showVerdict(byId(id), { verdict: 'running', words: 'test.waiting' });
  const box = await askBox();
  const servers = box.error === 'no-webrtc' ? [] : [...flatten(box.iceServers, 'box'), ...own.ready];
  try {
    const findings = await test(servers);
    const signaling = { signaling: box.error, carrier: box.session?.carrier };
    const verdict = overall({ ...signaling, ...findings });
    showVerdict(byId('verdict'), verdict);
    window.signalboxReport = makeReport({ started, ...signaling, verdict, ...findings });
  } finally {
    box.session?.close();
    byId('run').disabled = byId('copy-report').disabled = false;
    byId('pass-form').hidden = box.error !== 'unauthorized';
    if (box.error === 'unauthorized') askPass();
  }
}

/**
 * The box's own servers, with a credential. A session in a room of its own gets what a caller gets;
 * where signaling doesn't come through, plain HTTP tells whether the relay would.
 */
async function askBox() {
  let session = null;
  try {
    session = await connect({ name: 'check', token: pass, keep: false, retries: 0 });
    const id = crypto.getRandomValues(new Uint32Array(4)).join('-');
    keepPass();
    await session.join(`check-${id}`, { dataChannel: false }).catch((error) => {
      if (error.code !== 'unauthorized') throw error; // the token is for other rooms
    });
    return { session, iceServers: session.iceServers, error: null };
  } catch (error) {
    session?.close();
    return { session: null, iceServers: await askOverHTTP(), error: error.code ?? 'internal' };
  }
}

async function askOverHTTP() {
  try {
    const headers = pass() ? { Authorization: `Bearer ${pass()}` } : {};
    const response = await fetch('/api/ice', { cache: 'no-store', headers });
    return response.ok ? (await response.json()).iceServers : [];
  } catch {
    return [];
  }
}

async function test(servers) {
  const rows = begin(servers);
  let finished = 0;
  const progress = () => showVerdict(byId('verdict'), {
    verdict: 'running', words: 'overall.running', params: { done: finished, all: servers.length },
  });
  progress();
  const judged = await Promise.all(servers.map(async (server) => {
    const result = await probe(server, { oncandidate: addCandidate });
    for (const error of result.errors) {
      addError(server, error, result.outcome === 'relay' || result.outcome === 'mapped');
    }
    const loop = result.outcome === 'relay' ? await relayLoop(server) : null;
    const verdict = ofServer(result, loop, location.hostname);
    rows.get(server).show(verdict, { code: result.code, loop });
    finished++;
    progress();
    return { server, result, loop, verdict };
  }));
  const best = bestRelay(judged);
  const relay = ofRelay(best?.server, best?.loop);
  showVerdict(byId('relay-test'), relay);
  if (best?.loop.ok) byId('relay-test').dataset.rtt = String(best.loop.median);
  showVerdict(byId('verdict'), { verdict: 'running', words: 'overall.reach' });
  showVerdict(byId('reach-test'), { verdict: 'running', words: 'reach.running' });
  const reach = await testReach(judged, best);
  showVerdict(byId('reach-test'), reach);
  const groups = ['box', 'own'].map((origin) => judged
    .filter(({ server }) => server.origin === origin)
    .map(({ server, verdict }) => ({ server, verdict: verdict.verdict })));
  return { judged, groups, relay, reach };
}

// The box's before the visitor's, and UDP before TCP before TLS: what a call would use.
function bestRelay(judged) {
  const relays = judged.filter(({ loop }) => loop);
  return relays.find(({ loop }) => loop.ok) ?? relays[0] ?? null;
}

async function testReach(judged, best) {
  const candidates = judged.flatMap(({ result }) => result.candidates);
  const reflexive = candidates.filter(({ type }) => type === 'srflx');
  const udp = judged.some(({ server, verdict }) => server.transport === 'udp' && verdict.verdict !== 'bad');
  const facts = {
    udp,
    relayAddress: best?.result.candidates.find(({ type }) => type === 'relay')?.address,
    addresses: [...new Set(reflexive.map(({ address }) => address))],
    relayWorks: Boolean(best?.loop.ok),
    loop: null,
  };
  if (!facts.relayWorks || !udp) return ofReach(facts);
  if (!facts.addresses.length) {
    const address = await mappedAddress(best.server);
    if (address) facts.addresses.push(address);
  }
  if (facts.addresses.length) {
    const stunURLs = judged
      .filter(({ server, verdict }) => !server.relays && verdict.verdict === 'good')
      .map(({ server }) => server.url);
    facts.loop = await reachLoop(best.server, stunURLs, facts.addresses, reflexive.map(({ port }) => port));
  }
  return ofReach(facts);
}
