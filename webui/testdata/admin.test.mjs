// The admin page: what it shows of what the box says, and when.
import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { open } from './page.mjs';

const byId = (id) => document.getElementById(id);
const wait = setTimeout;
globalThis.setTimeout = (...args) => wait(...args).unref(); // the test is not to wait for the page
let answers; // of the box, by path
globalThis.location = { hash: '', origin: 'https://box.example', pathname: '/admin', reload() {} };
globalThis.addEventListener = () => {};
globalThis.matchMedia = () => ({ addEventListener() {} });
globalThis.fetch = async (path) => {
  const { status = 200, body = {} } = await answers[path.replace(/^\/api\/admin\/(\w+).*$/, '$1')] ?? { status: 404 };
  if (status === 204) return new Response(null, { status });
  return new Response(JSON.stringify(body), { status });
};
let feed; // the last one
globalThis.EventSource = class {
  static CLOSED = 2;
  onmessage = () => {};

  constructor() {
    feed = this;
  }

  close() {}
};

const live = (troubles = []) => ({
  at: Date.now(), troubles, rooms: 0, members: 0, allocations: 0, rate: { fromClient: 0, toClient: 0 }, bans: 0,
  limits: [], lines: 0,
  status: {
    startedAt: Date.now(), ready: true, notices: {}, web: {}, admin: {}, logLinesLost: 0,
    api: { on: false }, webhook: {},
    turn: { transfer: { bytes: 0, month: '2026-01' }, relayPorts: [], drops: {}, refusals: {} },
    signal: { sessions: 0, refusals: {} },
  },
});
const tell = (...troubles) => feed.onmessage({ data: JSON.stringify(live(troubles)) });

async function until(look) {
  for (;;) {
    if (look()) return;
    await new Promise((resolve) => { wait(resolve, 5); });
  }
}

beforeEach(() => {
  answers = {
    login: {}, logout: { status: 204 }, session: { body: { name: 'admin.token', scope: 'write' } },
    rooms: { body: { total: 0, offset: 0, rooms: [] } }, history: { body: { every: 10, points: [] } },
    bans: { body: { bans: [] } }, allocations: { body: { total: 0, offset: 0, allocations: [] } },
    log: { body: { lines: [] } },
  };
});

byId('live').hidden = true;
open('admin');
let tellSession;
answers = { session: new Promise((resolve) => { tellSession = resolve; }) };
await import('../static/js/admin/main.js');
after(() => byId('logout').fire('click')); // it would go on to ask

async function enter() {
  feed = null;
  byId('token').value = 'a-token';
  byId('token-form').fire('submit');
  await until(() => feed);
}

// Nobody is logged in at first: the box does not know the session.
test('a page that is first looked at before it is let in says only why it is not', { timeout: 20_000 }, async () => {
  document.fire('visibilitychange');
  assert.equal(feed, undefined);
  tellSession({ status: 401 });
  await until(() => document.body.dataset.state === 'locked');
  assert.match(byId('locked-why').textContent, /needs a one-time link/);
});

test('after each login, the first event brings what is shown', { timeout: 20_000 }, async () => {
  for (let login = 0; login < 3; login++) {
    await enter();
    tell();
    await until(() => document.body.dataset.state === 'live');
    assert.equal(byId('live').hidden, false);
    for (let more = 0; more < login; more++) tell();
    await byId('logout').fire('click');
    assert.equal(byId('live').hidden, true);
  }
});

test('a trouble stays where it is while it lasts, whatever its details', { timeout: 20_000 }, async () => {
  const words = (text) => ({ en: text, 'zh-CN': text });
  const [what, fix] = [words('what'), words('see `box status` (`a`)')];
  const trouble = (code, detail) => ({ code, detail, since: 0, what, fix });
  await enter();
  tell(trouble('not-running', 'http'), trouble('not-running', 'https'), trouble('disk-full', '10 bytes'));
  const rows = [...byId('troubles').children];
  assert.equal(rows.length, 3);
  const parts = rows.map(({ children }) => children);
  tell(trouble('not-running', 'http'), trouble('not-running', 'https'), trouble('disk-full', '9 bytes'));
  assert.deepEqual([...byId('troubles').children].map((row) => rows.indexOf(row)), [0, 1, 2]);
  const stay = byId('troubles').children.map(({ children }, n) => children.map((part, i) => part === parts[n][i]));
  assert.deepEqual(stay, [[true, true, true], [true, true, true], [true, true, false]]);
  assert.match(rows[2].textContent, /9 bytes/);
  assert.match(rows[2].textContent, /see box status \(a\)/);
  const typed = rows[2].children.flatMap(({ children }) => children).filter(({ tagName }) => tagName === 'CODE');
  assert.deepEqual(typed.map(({ textContent }) => textContent), ['box status', 'a']);
  tell(trouble('disk-full', '9 bytes'));
  assert.deepEqual([...byId('troubles').children].map((row) => rows.indexOf(row)), [2]);
});

test('what is wrong with the certificate is said in the page’s words', { timeout: 20_000 }, async () => {
  const { showBars } = await import('../static/js/admin/bars.js');
  const day = 86_400_000;
  const shown = (certificate) => {
    const whole = { mode: 'acme', names: ['box.example'], notAfter: Date.now() + 30.5 * day, ...certificate };
    showBars({ status: { turn: { relayPorts: [] }, certificate: whole }, limits: [] });
    return byId('bars').children[0].textContent;
  };
  assert.match(shown({}), /30 days left \(ACME\).*box\.example/);
  assert.match(shown({ problem: 'unexpected EOF' }), /30 days left.*its renewal: unexpected EOF/);
  assert.match(shown({ pending: true, problem: 'in the words of the box' }), /The first one is being fetched/);
  assert.doesNotMatch(shown({ pending: true, problem: 'in the words of the box' }), /words of the box/);
  const due = shown({ due: true, problem: 'it ends on 2026-01-02: renew it', notAfter: Date.now() + 3.5 * day });
  assert.match(due, /3 days left.*should have been renewed by now/);
  assert.doesNotMatch(due, /2026-01-02/);
  const left = (days, mode) => shown({ mode, notAfter: Date.now() + (days + 0.5) * day });
  assert.match(left(396, 'self-signed'), /396 days left \(self-signed\)/);
  assert.match(left(1, 'acme'), /1 day left \(ACME\)/);
  assert.match(left(0, 'files'), /0 days left \(from files\)/);
  assert.match(left(-2, 'acme'), /expired \(ACME\)/);
});

test('why something is refused is said in the page’s words', { timeout: 20_000 }, async () => {
  for (const [answer, want] of [
    [{ status: 409, body: { code: 'not-possible', message: 'in the words of the API' } }, /part of another program/],
    [{ status: 403, body: { code: 'only-looks', message: 'in the words of the API' } }, /may only look/],
    [{ status: 500, body: { code: 'of later boxes', message: 'in its words' } }, /don’t understand.*in its words/],
    [{ status: 502, body: null }, /don’t understand.*HTTP 502/],
    [{ status: 401 }, /session is over/],
  ]) {
    answers.drain = answer;
    byId('drain').fire('click');
    await byId('kick-confirm').fire('click');
    assert.match(byId('kick-said').textContent, want);
    assert.equal(byId('kick').open, false);
  }
  answers.login = { status: 429, body: { code: 'rate-limited', message: 'in the words of the API' } };
  byId('token').value = 'a-token';
  byId('token-form').fire('submit');
  await until(() => byId('token-problem').textContent);
  assert.match(byId('token-problem').textContent, /Too many wrong tokens/);
});

test('what came of one thing does not close the question about the next', { timeout: 20_000 }, async () => {
  const { Question } = await import('../static/js/admin/kick.js');
  const question = new Question();
  byId('kick').open = false;
  let done;
  question.ask({ kind: 'room', name: 'tea', request: () => new Promise((resolve) => { done = resolve; }) });
  const confirmed = byId('kick-confirm').fire('click');
  question.close();
  question.ask({ kind: 'room', name: 'milk' });
  done(['close.done', 'good', { name: 'tea', members: 0 }]);
  await confirmed;
  assert.equal(byId('kick').open, true);
  assert.match(byId('kick-said').textContent, /tea/);
  question.close();
});

test('a page for which there is no room says so, and goes on by itself', { timeout: 20_000 }, async () => {
  await enter();
  const refused = feed;
  answers.events = { status: 503, body: { code: 'too-many-pages', message: 'in the words of the API' } };
  refused.readyState = EventSource.CLOSED;
  refused.onerror();
  await until(() => /too many pages/.test(byId('freshness').textContent));
  await until(() => feed !== refused);
  delete answers.events;
  tell();
  await until(() => document.body.dataset.state === 'live');
  assert.equal(byId('live').hidden, false);
  const lost = feed;
  lost.readyState = EventSource.CLOSED;
  lost.onerror();
  await until(() => /no answer since/.test(byId('freshness').textContent));
});

test('a page that waits for room goes on whatever it hears meanwhile', { timeout: 20_000 }, async () => {
  await enter();
  tell();
  await until(() => document.body.dataset.state === 'live');
  const refuse = async (answer) => {
    const refused = feed;
    answers.events = answer;
    refused.readyState = EventSource.CLOSED;
    refused.onerror();
    await until(() => feed !== refused);
  };
  await refuse({ status: 503, body: { code: 'too-many-pages', message: 'in the words of the API' } });
  assert.equal(document.body.dataset.state, 'full');
  await refuse({}); // there was room for the question
  assert.equal(document.body.dataset.state, 'full');
  let late;
  await refuse(new Promise((resolve) => { late = resolve; })); // it is not waited for
  tell();
  late({ status: 503, body: { code: 'too-many-pages', message: 'in the words of the API' } });
  await new Promise((resolve) => { wait(resolve, 20); });
  assert.equal(document.body.dataset.state, 'live');
});

test('a page that nobody sees waits for no room', { timeout: 20_000 }, async () => {
  await byId('logout').fire('click');
  feed = null;
  document.hidden = true;
  byId('token').value = 'a-token';
  await byId('token-form').fire('submit');
  await until(() => byId('locked').hidden);
  await new Promise((resolve) => { wait(resolve, 20); });
  assert.equal(feed, null);
  document.hidden = false;
  document.fire('visibilitychange');
  assert.ok(feed);
});

test('people who use none of their allocations have a number, too', { timeout: 20_000 }, async () => {
  const { RoomPages } = await import('../static/js/admin/rooms.js');
  const allocation = (id, bytes) => ({ id, client: '192.0.2.1:5000', transport: 'udp', relay: '203.0.113.10:50000',
    createdAt: 0, fromClientBytes: bytes, toClientBytes: 0, permissions: [], class: 'hub' });
  const room = (...allocations) => ({ room: 'tea', capacity: 0, members: 7, rate: { fromClient: 0, toClient: 0 },
    people: [{ id: 'p', name: 'Ann', source: '192.0.2.1', dialect: 'signalbox.v1', since: 0, away: false,
      rate: { fromClient: 0, toClient: 0 }, allocations }] });
  const pages = new RoomPages(() => {});
  const shown = async (...allocations) => {
    answers.rooms.body = { total: 1, offset: 0, rooms: [room(...allocations)] };
    await pages.refresh();
    const [, people] = byId('rooms').children[0].children;
    assert.match(people.children[1].textContent, /^6 more/);
    return people.children[0].children.filter(({ hidden }) => !hidden).map((part) => part.textContent).join(' ');
  };
  assert.doesNotMatch(await shown(), /allocations/);
  assert.match(await shown(allocation('a', 0), allocation('b', 0)), /unused allocations: 2/);
  assert.match(await shown(allocation('a', 1), allocation('b', 0)), /allocations: 1, and unused: 1/);
  assert.doesNotMatch(await shown(allocation('a', 1), allocation('b', 0)), /unused allocations/);
});
