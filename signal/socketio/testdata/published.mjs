import { createRequire } from "module";
const require = createRequire(new URL("../../../scripts/lab/browser/x.js", import.meta.url));
const WebSocket = require("ws");
import assert from "assert";
// Says the steps of the published Engine.IO 4, Socket.IO 5 and Engine.IO 3 suites, and prints one
// line of JSON per case: {suite, name, error}. It is given three servers, as host:port, so that no
// case depends on how fast this client is: one of the suites' timings, which ends what is silent;
// one that pings as often but waits for every answer; and one that says nothing by itself.
const [STRICT, PATIENT, QUIET] = process.argv.slice(2);
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
const limit = (p, ms = 60000) => Promise.race([p, sleep(ms).then(() => { throw new Error("timeout"); })]);
// reporter runs and reports the cases of a suite.
const reporter = (suite) => async (name, f) => {
  let error = "";
  try { await limit(f()); } catch (e) { error = String(e.message || e).split("\n").slice(0, 6).join(" | "); }
  console.log(JSON.stringify({ suite, name, error }));
};
class S { // buffered
  constructor(url) {
    this.w = new WebSocket(url); this.w.binaryType = "arraybuffer"; this.b = { open: [], close: [], message: [] }; this.p = { open: [], close: [], message: [] };
    this.w.on("error", () => {});
    for (const t of Object.keys(this.b)) this.w.addEventListener(t, (e) => this.p[t].length ? this.p[t].shift()(e) : this.b[t].push(e));
  }
  on(t) { return this.b[t].length ? Promise.resolve(this.b[t].shift()) : new Promise((r) => this.p[t].push(r)); }
  async msg() { return (await this.on("message")).data; }
  send(x) { this.w.send(x); }
  close() { this.w.close(); }
}
const keys = ["sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"].sort();
function hs(text, up) {
  assert.equal(text[0], "0"); const v = JSON.parse(text.slice(1));
  assert.deepEqual(Object.keys(v).sort(), keys); assert.equal(typeof v.sid, "string"); assert.deepEqual(v.upgrades, up);
  assert.deepEqual([v.pingInterval, v.pingTimeout, v.maxPayload], [300, 200, 1000000]);
}
const st = async (p, want) => assert.equal((await p).status, want);
// at is how a server is asked for Engine.IO of a version at a path.
const at = (server, P, version) => {
  const base = `http://${server}${P}`, q = `${base}?EIO=${version}&transport=polling`;
  const ws = (x = "") => new S(`ws://${server}${P}?EIO=${version}&transport=websocket${x}`);
  const poll = (sid, x = "") => fetch(`${q}&sid=${sid}${x}`), post = (sid, body) => fetch(`${q}&sid=${sid}`, { method: "post", body });
  // gone resolves once polls are refused. One that overtakes what ends them is answered.
  const gone = async (sid) => { for (;;) { const { status } = await poll(sid); if (status !== 200) return assert.equal(status, 400); } };
  return { base, q, ws, poll, post, gone };
};
// ordered repeats what takes two requests of which the second may overtake the first, and then
// returns false.
const ordered = async (f) => { for (let ms = 5; ms < 10000; ms *= 2) if (await f(ms)) return; assert.fail("out of order, time and again"); };
async function eio(P, it) {
  const strict = at(STRICT, P, 4), patient = at(PATIENT, P, 4), quiet = at(QUIET, P, 4);
  const { base, q, ws, poll, post, gone } = quiet;
  const init = async (server = quiet) => JSON.parse((await (await fetch(server.q)).text()).slice(1)).sid;
  await it("handshake, HTTP long-polling: should successfully open a session", async () => { const r = await fetch(strict.q); assert.equal(r.status, 200); hs(await r.text(), ["websocket"]); });
  await it("handshake, HTTP long-polling: should fail with an invalid 'EIO' query parameter", async () => { await st(fetch(`${base}?transport=polling`), 400); await st(fetch(`${base}?EIO=abc&transport=polling`), 400); });
  await it("handshake, HTTP long-polling: should fail with an invalid 'transport' query parameter", async () => { await st(fetch(`${base}?EIO=4`), 400); await st(fetch(`${base}?EIO=4&transport=abc`), 400); });
  await it("handshake, HTTP long-polling: should fail with an invalid request method", async () => { await st(fetch(q, { method: "post" }), 400); await st(fetch(q, { method: "put" }), 400); });
  await it("handshake, WebSocket: should successfully open a session", async () => { const s = strict.ws(); hs(await s.msg(), []); s.close(); });
  await it("handshake, WebSocket: should fail with an invalid 'EIO' query parameter", async () => { await new S(`${base}?transport=websocket`).on("close"); await new S(`${base}?EIO=abc&transport=websocket`).on("close"); });
  await it("handshake, WebSocket: should fail with an invalid 'transport' query parameter", async () => { await new S(`${base}?EIO=4`).on("close"); await new S(`${base}?EIO=4&transport=abc`).on("close"); });
  const echo = async (text) => { const sid = await init(); const r = await post(sid, text); assert.equal(r.status, 200); assert.equal(await r.text(), "ok"); const g = await poll(sid); assert.equal(g.status, 200); assert.equal(await g.text(), text); };
  if (P === "/engine.io/") {
    await it("message, HTTP long-polling: should send and receive a payload containing a single packet", () => echo("4hello")); await it("message, HTTP long-polling: should send and receive a payload containing several packets", () => echo("4test1\x1e4test2\x1e4test3")); await it("message, HTTP long-polling: should send and receive a payload containing plain text and binary packets", () => echo("4hello\x1ebAQIDBA=="));
    await it("message, HTTP long-polling: closes the session upon invalid packet format", async () => { const sid = await init(); try { await st(post(sid, "abc"), 400); } catch (e) { if (e.code === "ERR_ASSERTION") throw e; } await st(poll(sid), 400); });
    await it("message, HTTP long-polling: closes the session upon duplicate poll requests", async () => { const sid = await init(); const [a, b] = (await Promise.all([poll(sid), poll(sid, "&t=burst")])).sort((a, b) => a.status - b.status); assert.equal(a.status, 200); assert.equal(await a.text(), "1"); assert.ok([400, 500].includes(b.status)); await st(poll(sid), 400); });
    await it("message, HTTP long-polling: closes the session upon a polling request that ends", () => ordered(async (ms) => { const sid = await init(); const c = new AbortController(); fetch(`${q}&sid=${sid}`, { signal: c.signal }).catch(() => {}); await sleep(ms); c.abort(); return Promise.race([gone(sid).then(() => true), sleep(1000)]); }));
    await it("message, WebSocket: sends and receives a plain text packet", async () => { const s = ws(); await s.on("open"); await s.msg(); s.send("4hello"); assert.equal(await s.msg(), "4hello"); s.close(); });
    await it("message, WebSocket: sends and receives a binary packet", async () => { const s = ws(); await s.msg(); s.send(Uint8Array.from([1, 2, 3, 4])); assert.deepEqual([...new Uint8Array(await s.msg())], [1, 2, 3, 4]); s.close(); });
    await it("message, WebSocket: closes the session upon invalid packet format", async () => { const s = ws(); await s.msg(); s.send("abc"); await s.on("close"); });
  }
  await it("heartbeat, HTTP long-polling: sends ping/pong packets", async () => { const sid = await init(patient); for (let i = 0; i < 3; i++) { const g = await patient.poll(sid); assert.equal(g.status, 200); assert.equal(await g.text(), "2"); await st(patient.post(sid, "3"), 200); } });
  await it("heartbeat, HTTP long-polling: closes the session upon ping timeout", async () => { const sid = await init(strict); await sleep(500); await strict.gone(sid); });
  await it("heartbeat, WebSocket: sends ping/pong packets", async () => { const s = patient.ws(); await s.msg(); for (let i = 0; i < 3; i++) { assert.equal(await s.msg(), "2"); s.send("3"); } s.close(); });
  await it("heartbeat, WebSocket: closes the session upon ping timeout", async () => { await strict.ws().on("close"); });
  await it("close, HTTP long-polling: forcefully closes the session", () => ordered(async (ms) => { const sid = await init(); const [g] = await Promise.all([poll(sid), sleep(ms).then(() => post(sid, "1"))]); if (g.status === 400) return false; assert.equal(g.status, 200); assert.equal(await g.text(), "6"); await st(poll(sid), 400); return true; }));
  await it("close, WebSocket: forcefully closes the session", async () => { const s = ws(); await s.msg(); s.send("1"); await s.on("close"); });
  await it("upgrade: successfully upgrades from HTTP long-polling to WebSocket", async () => { const sid = await init(); const s = ws(`&sid=${sid}`); await s.on("open"); s.send("2probe"); assert.equal(await s.msg(), "3probe");
    if (P === "/engine.io/") { const g = await poll(sid); assert.equal(g.status, 200); assert.equal(await g.text(), "6"); } s.send("5"); if (P === "/engine.io/") { s.send("4hello"); assert.equal(await s.msg(), "4hello"); } });
  await it("upgrade: ignores HTTP requests with same sid after upgrade", async () => { const sid = await init(); const s = ws(`&sid=${sid}`); await s.on("open"); s.send("2probe"); if (P === "/engine.io/") await s.msg(); s.send("5"); await gone(sid); if (P === "/engine.io/") { s.send("4hello"); assert.equal(await s.msg(), "4hello"); } });
  await it("upgrade: ignores WebSocket connection with same sid after upgrade", async () => { const sid = await init(); const s = ws(`&sid=${sid}`); await s.on("open"); s.send("2probe"); if (P === "/engine.io/") await s.msg(); s.send("5"); await gone(sid); await ws(`&sid=${sid}`).on("close"); if (P === "/engine.io/") { s.send("4hello"); assert.equal(await s.msg(), "4hello"); } });
}
async function sio(it) {
  const open = async (server = QUIET) => { const s = at(server, "/socket.io/", 4).ws(); await s.msg(); return s; };
  const next = async (s) => { for (;;) { const m = await s.msg(); if (m !== "2") return m; } };
  const conn = async (server) => { const s = await open(server); s.send("40"); await next(s); await next(s); return s; };
  for (const [name, say, start, auth] of [["connect: should allow connection to the main namespace", "40", "40", '42["auth",{}]'], ["connect: should allow connection to the main namespace with a payload", '40{"token":"123"}', "40", '42["auth",{"token":"123"}]'], ["connect: should allow connection to a custom namespace", "40/custom,", "40/custom,", '42/custom,["auth",{}]'], ["connect: should allow connection to a custom namespace with a payload", '40/custom,{"token":"abc"}', "40/custom,", '42/custom,["auth",{"token":"abc"}]']])
    await it(name, async () => { const s = await open(); s.send(say); const m = await s.msg(); assert.ok(m.startsWith(start)); assert.deepEqual(Object.keys(JSON.parse(m.slice(start.length))), ["sid"]); assert.equal(await s.msg(), auth); });
  await it("connect: should disallow connection to an unknown namespace", async () => { const s = await open(); s.send("40/random"); assert.equal(await s.msg(), '44/random,{"message":"Invalid namespace"}'); });
  await it("connect: should disallow connection with an invalid handshake", async () => { const s = await open(); s.send("4abc"); await s.on("close"); });
  await it("connect: should close the connection if no handshake is received", async () => { const s = await open(STRICT); const keep = setInterval(() => s.w.readyState === 1 && s.send("3"), 100); await s.on("close"); clearInterval(keep); });
  await it("disconnect: should disconnect from the main namespace", async () => { const s = await conn(PATIENT); s.send("41"); assert.equal(await s.msg(), "2"); });
  await it("disconnect: should connect then disconnect from a custom namespace", async () => { const s = await conn(PATIENT); assert.equal(await s.msg(), "2"); s.send("40/custom"); await next(s); await next(s); s.send("41/custom"); s.send('42["message","message to main namespace"]'); assert.equal(await next(s), '42["message-back","message to main namespace"]'); });
  await it("message: should send a plain-text packet", async () => { const s = await conn(); s.send('42["message",1,"2",{"3":[true]}]'); assert.equal(await next(s), '42["message-back",1,"2",{"3":[true]}]'); });
  const bin = (a) => [...new Uint8Array(a)];
  await it("message: should send a packet with binary attachments", async () => { const s = await conn(); s.send('452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'); s.send(Uint8Array.from([1, 2, 3])); s.send(Uint8Array.from([4, 5, 6])); assert.equal(await next(s), '452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'); assert.deepEqual(bin(await next(s)), [1, 2, 3]); assert.deepEqual(bin(await next(s)), [4, 5, 6]); });
  await it("message: should send a plain-text packet with an ack", async () => { const s = await conn(); s.send('42456["message-with-ack",1,"2",{"3":[false]}]'); assert.equal(await next(s), '43456[1,"2",{"3":[false]}]'); });
  await it("message: should send a packet with binary attachments and an ack", async () => { const s = await conn(); s.send('452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'); s.send(Uint8Array.from([1, 2, 3])); s.send(Uint8Array.from([4, 5, 6])); assert.equal(await next(s), '462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'); assert.deepEqual(bin(await next(s)), [1, 2, 3]); assert.deepEqual(bin(await next(s)), [4, 5, 6]); });
  for (const [why, m] of [["unknown packet type", "4abc"], ["invalid payload format", "42{}"], ["invalid ack id", "42abc[\"message-with-ack\",1]"]])
    await it(`message: should close the connection upon invalid format (${why})`, async () => { const s = await conn(); s.send(m); await s.on("close"); });
}

async function eio3(it) {
  const strict = at(STRICT, "/engine.io/", 3), { base, q, ws, poll, post, gone } = at(QUIET, "/engine.io/", 3);
  const init = async (bin, from = q) => JSON.parse((await (await fetch(from + (bin ? "" : "&b64=1"))).text()).replace(/^\d+:0/, "")).sid;
  const hs3 = (text, up) => { assert.equal(text[0], "0"); const v = JSON.parse(text.slice(1)); assert.equal(typeof v.sid, "string"); assert.deepEqual(v.upgrades, up); assert.deepEqual([v.pingInterval, v.pingTimeout], [300, 200]); assert.ok([undefined, 1000000].includes(v.maxPayload)); };
  await it("handshake, HTTP long-polling: should successfully open a session", async () => { const r = await fetch(strict.q); assert.equal(r.status, 200); const t = await r.text(); const c = t.indexOf(":"); assert.equal(t.slice(0, c), String(t.length - c - 1)); hs3(t.slice(c + 1), ["websocket"]); });
  await it("handshake, HTTP long-polling: should fail with an invalid 'transport' query parameter", async () => { await st(fetch(`${base}?EIO=3`), 400); await st(fetch(`${base}?EIO=3&transport=abc`), 400); });
  await it("handshake, HTTP long-polling: should fail with an invalid request method", async () => { await st(fetch(q, { method: "post" }), 400); });
  await it("handshake, WebSocket: should successfully open a session", async () => { const s = strict.ws(); hs3(await s.msg(), []); s.close(); });
  await it("handshake, WebSocket: should fail with an invalid 'EIO' query parameter", async () => { await new S(`${base}?transport=websocket`).on("close"); await new S(`${base}?EIO=abc&transport=websocket`).on("close"); });
  await it("handshake, WebSocket: should fail with an invalid 'transport' query parameter", async () => { await new S(`${base}?EIO=3`).on("close"); await new S(`${base}?EIO=3&transport=abc`).on("close"); });
  const echo = async (name, text) => it(name, async () => { const sid = await init(); const r = await post(sid, text); assert.equal(r.status, 200); assert.equal(await r.text(), "ok"); const g = await poll(sid); assert.equal(g.status, 200); assert.equal(await g.text(), text); });
  await echo("message, HTTP long-polling: should send and receive a payload containing a single packet", "6:4hello"); await echo("message, HTTP long-polling: should send and receive a payload containing several packets", "6:4test16:4test26:4test3"); await echo("message, HTTP long-polling: should send and receive a payload containing plain text and binary packets (base64 encoded)", "6:4hello10:b4AQIDBA==");
  await it("message, HTTP long-polling: should send and receive a payload containing plain text and binary packets", async () => { const sid = await init(true); const r = await post(sid, "6:4hello10:b4AQIDBA=="); assert.equal(await r.text(), "ok"); const g = await poll(sid); assert.deepEqual([...new Uint8Array(await g.arrayBuffer())], [0, 6, 255, 52, 104, 101, 108, 108, 111, 1, 5, 255, 4, 1, 2, 3, 4]); });
  await it("message, HTTP long-polling: closes the session upon invalid packet format", async () => { const sid = await init(); try { await st(post(sid, "abc"), 400); } catch (e) { if (e.code === "ERR_ASSERTION") throw e; } await st(poll(sid), 400); });
  await it("message, WebSocket: sends and receives a plain text packet", async () => { const s = ws(); await s.on("open"); await s.msg(); s.send("4hello"); assert.equal(await s.msg(), "4hello"); s.close(); });
  await it("message, WebSocket: sends and receives a binary packet", async () => { const s = ws(); await s.msg(); s.send(Uint8Array.from([4, 1, 2, 3, 4])); assert.deepEqual([...new Uint8Array(await s.msg())], [4, 1, 2, 3, 4]); s.close(); });
  await it("message, WebSocket: closes the session upon invalid packet format", async () => { const s = ws(); await s.msg(); s.send("abc"); await s.on("close"); });
  await it("heartbeat, HTTP long-polling: sends ping/pong packets", async () => { const sid = await init(); for (let i = 0; i < 3; i++) { await st(post(sid, "1:2"), 200); const g = await poll(sid); assert.equal(await g.text(), "1:3"); } });
  await it("heartbeat, HTTP long-polling: closes the session upon ping timeout", async () => { const sid = await init(false, strict.q); await sleep(500); await strict.gone(sid); await st(strict.post(sid, "1:2"), 400); });
  await it("heartbeat, WebSocket: sends ping/pong packets", async () => { const s = ws(); await s.msg(); for (let i = 0; i < 3; i++) { s.send("2"); assert.equal(await s.msg(), "3"); } s.close(); });
  await it("heartbeat, WebSocket: closes the session upon ping timeout", async () => { await strict.ws().on("close"); });
  await it("close, HTTP long-polling: forcefully closes the session", () => ordered(async (ms) => { const sid = await init(); const [g] = await Promise.all([poll(sid), sleep(ms).then(() => post(sid, "1:1"))]); if (g.status === 400) return false; assert.equal(g.status, 200); assert.equal(await g.text(), "1:6"); await st(poll(sid), 400); return true; }));
  await it("close, WebSocket: forcefully closes the session", async () => { const s = ws(); await s.msg(); s.send("1"); await s.on("close"); });
  const up = async (f) => { const sid = await init(); const s = ws(`&sid=${sid}`); await s.on("open"); s.send("2probe"); assert.equal(await s.msg(), "3probe"); await f(sid, s); s.send("4hello"); assert.equal(await s.msg(), "4hello"); };
  await it("upgrade: successfully upgrades from HTTP long-polling to WebSocket", () => up(async (sid, s) => { const g = await poll(sid); assert.equal(g.status, 200); assert.equal(await g.text(), "1:6"); s.send("5"); }));
  await it("upgrade: ignores HTTP requests with same sid after upgrade", () => up(async (sid, s) => { s.send("5"); await gone(sid); }));
  await it("upgrade: ignores WebSocket connection with same sid after upgrade", () => up(async (sid, s) => { s.send("5"); await gone(sid); await ws(`&sid=${sid}`).on("close"); }));
}
// The suites are independent: each is said in its order, beside the others.
await Promise.all([
  eio("/engine.io/", reporter("Engine.IO 4")), eio("/socket.io/", reporter("Socket.IO 5")),
  sio(reporter("Socket.IO 5")), eio3(reporter("Engine.IO 3")),
]);
process.exit(0);
