// /check: every ICE server by itself, then data through the relay, then whether its ports can be
// reached, then one verdict.
import { connect } from '/signalbox.js';
import { byId, copy, h } from '../dom.js';
import { say, start } from '../i18n.js';
import { askPass, keepPass, pass, takePass } from '../pass.js';
import { hostOf, sameFamily, tellsMapped } from './addresses.js';
import { concerning, ofBox, withBox } from './box.js';
import { OwnServers } from './classic.js';
import { toggleDevices } from './devices.js';
import { factsOf } from './facts.js';
import { ofNAT, seenBy } from './nat.js';
import { amongOthers, probe } from './probe.js';
import { tryRefusals } from './refusals.js';
import { reachLoop, relayLoop } from './relay.js';
import { inWords, makeReport } from './report.js';
import { withoutAddresses } from './saved.js';
import { newID, Second } from './second.js';
import { flatten, isAsked } from './servers.js';
import { ofOwn, ofReach, ofRelay, ofServer, overall, works } from './verdict.js';
import {
  addCandidate, addError, addRow, begin, setRunning, showCount, showLink, showOwn, showRefusals, showVerdict,
} from './view.js';

const ANSWER_MS = 3000; // of the box to a ping
const ASKED_MS = 10_000; // that it may take to name its servers
const SAVED_MS = 60_000; // in which a download has begun
const TESTS = ['relay-test', 'reach-test', 'nat-test'];
const MAX_USERS = 16; // whose logins a session may watch

// The run that is, or was last, under way. Where it is `opened`, a report has taken its place.
let last = { stop: new AbortController(), judged: [], added: new Map(), rows: new Map(), places: new Set() };
const wanted = new URLSearchParams(location.search);
let meeting = wanted.get('with'); // under which this device and a second one meet
start();
takePass();
const own = new OwnServers(testOwn);
const second = new Second({
  connect,
  report: () => (last.opened ? undefined : window.report),
  token: pass,
  show: showSecond,
  ended: () => byId('second-open').hidden = false,
});
byId('run').addEventListener('click', run);
byId('pass-form').addEventListener('submit', (event) => {
  event.preventDefault();
  if (!byId('run').disabled) run();
});
byId('copy-report').addEventListener('click', async () => {
  const done = await copy(reportText());
  say(byId('report-said'), done ? 'copied' : 'copy.failed');
});
byId('second-open').addEventListener('click', () => {
  meeting ??= newID();
  showLink(meeting);
  second.open(meeting);
});
byId('devices-test').addEventListener('click', toggleDevices);
byId('save-report').addEventListener('click', saveReport);
byId('open-report').addEventListener('change', openReport);
byId('second-open').hidden = Boolean(meeting);
byId('second-invited').hidden = !meeting; // whoever made the link hears what comes of it
run().then(() => {
  if (wanted.has('auto')) saveReport();
  if (meeting) second.open(meeting);
});

function reportText() {
  return JSON.stringify(byId('hide-addresses').checked ? withoutAddresses(window.report) : window.report, null, 2);
}

function saveReport() {
  const url = URL.createObjectURL(new Blob([reportText()], { type: 'application/json' }));
  h('a', { href: url, download: 'report.json' }).click();
  setTimeout(() => URL.revokeObjectURL(url), SAVED_MS);
}

// A report from elsewhere takes the place of what the page shows, until it runs again.
async function openReport({ target }) {
  const module = await import('./reopen.js').catch(() => null);
  const report = await module?.readFile(target.files[0]);
  target.value = '';
  if (!report) return say(byId('report-said'), module ? 'report.unread' : 'part.absent');
  last.stop.abort();
  last = { ...last, judged: [], added: new Map(), rows: new Map(), opened: true };
  window.report = report;
  module.showReport(report);
}

// What a second device has found belongs to the report, too.
function showSecond(verdict, found) {
  byId('second-verdict').hidden = false;
  showVerdict(byId('second-verdict'), verdict);
  if (found && window.report) window.report.second = { ...inWords(verdict), found };
}

/** Where a server is, whatever goes over it. */
function placeOf({ host, port }) {
  return `${host} ${port}`;
}

// A run whose session breaks knows nothing any more of the box: it starts again when that is back.
async function run() {
  const isPressed = document.activeElement === byId('run'); // which is out of sight meanwhile
  setBusy(true);
  say(byId('report-said'), '');
  let signaling;
  do signaling = await runOnce();
  while (signaling === 'lost');
  setBusy(false);
  if (isPressed) byId('run').focus({ preventScroll: true });
  byId('pass-form').hidden = signaling !== 'unauthorized';
  if (signaling === 'unauthorized') askPass();
}

function setBusy(busy) {
  for (const id of ['run', 'copy-report', 'save-report', 'open-report']) byId(id).disabled = busy;
}

async function runOnce() {
  const now = {
    started: Date.now(), judged: [], added: new Map(), rows: new Map(), stop: new AbortController(),
  };
  last = now;
  window.report = undefined;
  setRunning(true);
  begin([]);
  delete byId('relay-test').dataset.rtt;
  showVerdict(byId('verdict'), { verdict: 'running', words: 'overall.asking' });
  for (const id of TESTS) showVerdict(byId(id), { verdict: 'running', words: 'test.waiting' });
  const box = await askBox(own.ready.map(({ username }) => username), () => showHalves(now));
  const { session, error } = box;
  now.user = testUser(session);
  const servers = error === 'no-webrtc' ? [] : flatten(box.iceServers, 'box');
  Object.assign(now, { signaling: error, carrier: session?.carrier, sightings: box.sightings });
  now.places = new Set(servers.map(placeOf));
  servers.push(...(servers.length ? own.ready : []));
  try {
    const whole = test(now, servers).then(() => answers(session));
    if (await Promise.race([breaks(session), whole]) === 'lost') {
      await showLost(now, session);
      return 'lost';
    }
    now.judged = now.judged.map((judged) => addBox(now, judged));
    now.reach = ofReach(now.reached, now.sightings);
    showVerdict(byId('reach-test'), now.reach);
    conclude(now);
    return error;
  } finally {
    now.stop.abort();
    session?.close();
  }
}

/** Resolves to 'lost' when the session's connection breaks; without a session, never. */
function breaks(session) {
  return new Promise((resolve) => {
    session?.on('state', ({ state }) => state !== 'open' && resolve('lost'));
  });
}

/** Resolves to 'lost' if a session whose connection has not broken has no answer all the same. */
async function answers(session) {
  if (!session) return undefined;
  let late;
  const patience = new Promise((resolve) => { late = setTimeout(resolve, ANSWER_MS, 'lost'); });
  const answered = session.ping().then(() => undefined, () => 'lost');
  return Promise.race([answered, patience]).finally(() => clearTimeout(late));
}

/** Says so, and waits until the box is there again. */
async function showLost(now, session) {
  now.stop.abort();
  const verdict = overall({ signaling: 'lost' });
  showVerdict(byId('verdict'), verdict);
  const broken = { verdict: 'unknown', words: 'test.broken' };
  for (const id of TESTS) showVerdict(byId(id), broken);
  for (const row of now.rows.values()) row.breakOff(broken);
  setRunning(false);
  if (session.state === 'reconnecting') {
    await new Promise((resolve) => { session.on('state', resolve); });
  }
}

// While a row is not done, what has not come may yet come.
function showHalves(now) {
  for (const [server, row] of now.rows) {
    if (!now.sightings || !now.places.has(placeOf(server))) continue;
    const half = ofBox(server, now.sightings);
    row.showBox(half?.arrow && !now.judged.length ? { arrow: '', lines: [{ words: 'box.waiting' }] } : half);
  }
}

/** Once the box has told all, a verdict has its reasons, too. */
function addBox(now, judged) {
  const { server } = judged;
  if (!now.sightings || !now.places.has(placeOf(server))) return judged;
  const box = ofBox(server, now.sightings, works(judged.verdict.verdict));
  const verdict = withBox(judged.verdict, box);
  const row = now.rows.get(server);
  const facts = factsOf(judged.result, judged.loop, box?.allocated);
  row.show(verdict, { ...judged.shown, facts });
  row.showBox(box);
  return { ...judged, verdict, box, sightings: concerning(server, now.sightings) };
}

function conclude(now) {
  const tested = now.judged.filter(({ server }) => server.origin === 'box' || !now.added.has(server.url));
  const judged = [...tested, ...now.added.values()];
  const of = (origin) => judged.filter(({ server }) => server.origin === origin);
  now.refusals = now.refusing?.map(({ name, judge }) => ({ name, verdict: judge(now.sightings) })) ?? [];
  showRefusals(now.refusals);
  now.verdict = overall({ ...now, judged: of('box') });
  showVerdict(byId('verdict'), now.verdict);
  showOwn(ofOwn(of('own')));
  showCount(of('box').map(({ verdict }) => verdict.verdict), judged.length > 0);
  setRunning(false);
  window.report = makeReport({ ...now, judged });
  second.share();
}

/**
 * The box's own servers, with a credential. A session in a room of its own gets what a caller gets;
 * where signaling doesn't come through, plain HTTP tells whether the relay would. The box tells the
 * session what its relay sees of it, and of logins with the names of `users`, in `sightings`; that
 * is null where it doesn't. `hear` is called with each.
 */
async function askBox(users, hear) {
  let session = null;
  try {
    session = await connect({ name: 'check', token: pass, keep: false, retries: 0 });
    const id = crypto.getRandomValues(new Uint32Array(4)).join('-');
    keepPass();
    await session.join(`check-${id}`, { dataChannel: false }).catch((error) => {
      if (error.code !== 'unauthorized') throw error; // the token is for other rooms
    });
    const sightings = [];
    session.on('sighted', ({ data }) => {
      sightings.push(data);
      hear();
    });
    const names = [...new Set([testUser(session), ...users])].slice(0, MAX_USERS);
    const test = { type: 'watch', test: id, users: names };
    const told = await session.request(test).then(() => true, () => false);
    return { session, iceServers: session.iceServers, error: null, sightings: told ? sightings : null };
  } catch (error) {
    session?.close();
    return { session: null, iceServers: await askOverHTTP(), error: error.code ?? 'internal', sightings: null };
  }
}

/** A user name that no password is right for, and that the box's log doesn't take for a guess. */
function testUser(session) {
  return `4000000000:check-${session?.peerId ?? crypto.getRandomValues(new Uint32Array(2)).join('-')}`;
}

async function askOverHTTP() {
  try {
    const headers = pass() ? { Authorization: `Bearer ${pass()}` } : {};
    const signal = AbortSignal.timeout?.(ASKED_MS);
    const response = await fetch('/api/ice', { cache: 'no-store', headers, signal });
    return response.ok ? (await response.json()).iceServers : [];
  } catch {
    return [];
  }
}

async function test(now, servers) {
  now.rows = begin(servers);
  showHalves(now);
  let finished = 0;
  const progress = () => showVerdict(byId('verdict'), {
    verdict: 'running', words: 'overall.running', params: { done: finished, all: servers.length },
  });
  progress();
  const judgements = await Promise.all(servers.map(async (server) => {
    const judged = await testServer(now, server, now.rows.get(server));
    finished++;
    if (!now.stop.signal.aborted) progress();
    return judged;
  }));
  if (now.stop.signal.aborted) return;
  now.judged = judgements.map((judged) => judgeAmong(now, judged, judgements));
  for (const { server, result } of now.judged) {
    if (!isAsked(server, result.met)) now.rows.get(server).element.remove();
  }
  now.judged = now.judged.filter(({ server, result }) => isAsked(server, result.met));
  const judged = now.judged.filter(({ server }) => server.origin === 'box');
  const best = bestRelay(judged);
  now.relay = ofRelay(best?.server, best?.loop);
  showVerdict(byId('relay-test'), now.relay);
  if (best?.loop.ok) byId('relay-test').dataset.rtt = String(best.loop.median);
  showVerdict(byId('verdict'), { verdict: 'running', words: 'overall.reach' });
  showVerdict(byId('reach-test'), { verdict: 'running', words: 'reach.running' });
  const refusing = best?.loop.ok ? tryRefusals(best.server, now.user) : [];
  now.reached = await testReach(judged, best, now.sightings);
  if (now.stop.signal.aborted) return;
  now.nat = await testNAT(now.judged, now.reached.loop);
  showVerdict(byId('nat-test'), now.nat);
  now.refusing = await refusing;
}

/** One server and its row. What comes after the run has ended is nobody's. */
async function testServer(now, server, row) {
  const { signal } = now.stop;
  const result = await probe(server, { oncandidate: (candidate) => signal.aborted || addCandidate(candidate) });
  const loop = result.outcome === 'relay' && !signal.aborted ? await relayLoop(server) : null;
  const verdict = ofServer(result, loop, location);
  if (signal.aborted) return { server, result, loop, verdict };
  const answered = result.outcome === 'relay' || result.outcome === 'mapped';
  for (const error of result.errors) addError(server, error, answered);
  for (const error of loop?.errors ?? []) addError(server, error, loop.ok);
  const shown = { code: result.code, loop, facts: factsOf(result, loop) };
  const absent = { verdict: 'unknown', words: 'server.absent', params: { family: server.family } };
  row.show(isAsked(server, result.met) ? verdict : absent, shown);
  return { server, result, loop, verdict, shown };
}

function judgeAmong(now, judged, judgements) {
  const result = amongOthers(judged.result, judgements.map((each) => each.result));
  if (result === judged.result) return judged;
  const verdict = ofServer(result, judged.loop, location);
  now.rows.get(judged.server).show(verdict, judged.shown);
  return { ...judged, result, verdict };
}

/** A server that was just typed in. */
async function testOwn(server) {
  const during = last;
  const { places } = during;
  showOwn({ verdict: 'running', words: 'server.running' });
  const now = { stop: new AbortController(), judged: [], rows: new Map([[server, addRow(server)]]), places };
  const box = places.has(placeOf(server)) ? await askBox([server.username], () => showHalves(now)) : null;
  now.sightings = box?.sightings;
  let judged = await testServer(now, server, now.rows.get(server));
  await answers(box?.session); // behind which comes nothing more
  judged = addBox(now, judged);
  box?.session?.close();
  during.added.set(server.url, judged);
  if (during !== last) return;
  if (during.opened || !window.report) showOwn(ofOwn([...during.added.values()]));
  else conclude(during);
}

// UDP before TCP before TLS: what a call would use.
function bestRelay(judged) {
  const relays = judged.filter(({ loop }) => loop);
  return relays.find(({ loop }) => loop.ok) ?? relays[0] ?? null;
}

// What is to be known for ofReach.
async function testReach(judged, best, sightings) {
  const candidates = judged.flatMap(({ result }) => result.candidates);
  const reflexive = candidates.filter(({ type }) => type === 'srflx');
  const udp = judged.some(({ server, verdict }) => server.transport === 'udp' && verdict.verdict !== 'bad');
  const relayed = best?.result.candidates.find(({ type }) => type === 'relay');
  const relayAddress = relayed?.address;
  // The relay has nothing to do with addresses of the other family.
  const isNear = (address) => !relayAddress || sameFamily(address, relayAddress);
  const facts = {
    udp,
    host: best?.server.host,
    relayAddress,
    addresses: [...new Set(reflexive.map(({ address }) => address).filter(isNear))],
    relayWorks: Boolean(best?.loop.ok),
    loop: null,
  };
  if (!facts.relayWorks || !udp) return facts;
  if (!facts.addresses.length) {
    const client = concerning(best.server, sightings ?? []).find(({ kind }) => kind === 'allocated')?.client;
    const address = tellsMapped(relayed) ? relayed.relatedAddress : client && hostOf(client);
    if (address && isNear(address)) facts.addresses.push(address);
  }
  if (facts.addresses.length) {
    const stunURLs = stunOf(judged);
    const ports = reflexive.map(({ port }) => port);
    facts.loop = await reachLoop(best.server, stunURLs, facts.addresses, ports);
    // This browser has not come from such an address.
    if (!facts.loop.ok && facts.loop.from.length && !facts.loop.from.some(isNear)) facts.addresses = [];
  }
  return facts;
}

/** The URLs of the STUN servers that answer. */
function stunOf(judged) {
  const works = judged.filter(({ server, verdict }) => !server.relays && verdict.verdict === 'good');
  return [...new Set(works.map(({ server }) => server.url))];
}

async function testNAT(judged, loop) {
  const urls = stunOf(judged);
  const unmapped = judged.some(({ server, result }) =>
    result.outcome === 'unmapped' && server.family !== 6 && !server.host.includes(':'));
  const reached = loop?.ok ? loop.mapping : null;
  return ofNAT({ unmapped, reached, candidates: urls.length > 1 ? await seenBy(urls) : null });
}
