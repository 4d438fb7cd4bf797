import { createRequire } from "module";
const require = createRequire(new URL("../../../scripts/lab/browser/x.js", import.meta.url));
const WebSocket = require("ws");
import assert from "assert";
const B = "http://localhost:3000", W = "ws://localhost:3000";
const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
let ok = 0, bad = 0;
const limit = (p, ms = 4000) => Promise.race([p, sleep(ms).then(() => { throw new Error("timeout"); })]);
async function it(name, f) { try { await limit(f()); ok++; } catch (e) { bad++; console.log("FAIL", name, e.message.split("\n").slice(0, 6).join(" | ")); } }
class S { // buffered
  constructor(path) {
    this.w = new WebSocket(W + path); this.w.binaryType = "arraybuffer"; this.b = { open: [], close: [], message: [] }; this.p = { open: [], close: [], message: [] };
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
async function eio(P) {
  const q = `${P}?EIO=4&transport=polling`, poll = (sid, x = "") => fetch(`${B}${q}&sid=${sid}${x}`), post = (sid, body) => fetch(`${B}${q}&sid=${sid}`, { method: "post", body });
  const init = async () => JSON.parse((await (await fetch(B + q)).text()).slice(1)).sid;
  const wsq = `${P}?EIO=4&transport=websocket`;
  const st = async (p, want) => assert.equal((await p).status, want);
  await it("hs", async () => { const r = await fetch(B + q); assert.equal(r.status, 200); hs(await r.text(), ["websocket"]); });
  await it("EIO", async () => { await st(fetch(`${B}${P}?transport=polling`), 400); await st(fetch(`${B}${P}?EIO=abc&transport=polling`), 400); });
  await it("transport", async () => { await st(fetch(`${B}${P}?EIO=4`), 400); await st(fetch(`${B}${P}?EIO=4&transport=abc`), 400); });
  await it("method", async () => { await st(fetch(B + q, { method: "post" }), 400); await st(fetch(B + q, { method: "put" }), 400); });
  await it("ws hs", async () => { const s = new S(wsq); hs(await s.msg(), []); s.close(); });
  await it("ws EIO", async () => { await new S(`${P}?transport=websocket`).on("close"); await new S(`${P}?EIO=abc&transport=websocket`).on("close"); });
  await it("ws transport", async () => { await new S(`${P}?EIO=4`).on("close"); await new S(`${P}?EIO=4&transport=abc`).on("close"); });
  const echo = async (text) => { const sid = await init(); const r = await post(sid, text); assert.equal(r.status, 200); assert.equal(await r.text(), "ok"); const g = await poll(sid); assert.equal(g.status, 200); assert.equal(await g.text(), text); };
  if (P === "/engine.io/") {
    await it("one", () => echo("4hello")); await it("several", () => echo("4test1\x1e4test2\x1e4test3")); await it("binary", () => echo("4hello\x1ebAQIDBA=="));
    await it("invalid", async () => { const sid = await init(); try { await st(post(sid, "abc"), 400); } catch (e) { if (e.code === "ERR_ASSERTION") throw e; } await st(poll(sid), 400); });
    await it("dup", async () => { const sid = await init(); const [a, b] = await Promise.all([poll(sid), sleep(5).then(() => poll(sid, "&t=burst"))]); assert.equal(a.status, 200); assert.equal(await a.text(), "1"); assert.ok([400, 500].includes(b.status)); await st(poll(sid), 400); });
    await it("cancel", async () => { const sid = await init(); const c = new AbortController(); fetch(`${B}${q}&sid=${sid}`, { signal: c.signal }).catch(() => {}); await sleep(5); c.abort(); await st(poll(sid), 400); });
    await it("ws text", async () => { const s = new S(wsq); await s.on("open"); await s.msg(); s.send("4hello"); assert.equal(await s.msg(), "4hello"); s.close(); });
    await it("ws bin", async () => { const s = new S(wsq); await s.msg(); s.send(Uint8Array.from([1, 2, 3, 4])); assert.deepEqual([...new Uint8Array(await s.msg())], [1, 2, 3, 4]); s.close(); });
    await it("ws invalid", async () => { const s = new S(wsq); await s.msg(); s.send("abc"); await s.on("close"); });
  }
  await it("beat", async () => { const sid = await init(); for (let i = 0; i < 3; i++) { const g = await poll(sid); assert.equal(g.status, 200); assert.equal(await g.text(), "2"); await st(post(sid, "3"), 200); } });
  await it("beat timeout", async () => { const sid = await init(); await sleep(500); await st(poll(sid), 400); });
  await it("ws beat", async () => { const s = new S(wsq); await s.msg(); for (let i = 0; i < 3; i++) { assert.equal(await s.msg(), "2"); s.send("3"); } s.close(); });
  await it("ws beat timeout", async () => { await new S(wsq).on("close"); });
  await it("close", async () => { const sid = await init(); const [g] = await Promise.all([poll(sid), post(sid, "1")]); assert.equal(g.status, 200); assert.equal(await g.text(), "6"); await st(poll(sid), 400); });
  await it("ws close", async () => { const s = new S(wsq); await s.msg(); s.send("1"); await s.on("close"); });
  await it("upgrade", async () => { const sid = await init(); const s = new S(`${wsq}&sid=${sid}`); await s.on("open"); s.send("2probe"); assert.equal(await s.msg(), "3probe");
    if (P === "/engine.io/") { const g = await poll(sid); assert.equal(g.status, 200); assert.equal(await g.text(), "6"); } s.send("5"); if (P === "/engine.io/") { s.send("4hello"); assert.equal(await s.msg(), "4hello"); } });
  await it("http after upgrade", async () => { const sid = await init(); const s = new S(`${wsq}&sid=${sid}`); await s.on("open"); s.send("2probe"); if (P === "/engine.io/") await s.msg(); s.send("5"); await st(poll(sid), 400); if (P === "/engine.io/") { s.send("4hello"); assert.equal(await s.msg(), "4hello"); } });
  await it("ws after upgrade", async () => { const sid = await init(); const s = new S(`${wsq}&sid=${sid}`); await s.on("open"); s.send("2probe"); if (P === "/engine.io/") await s.msg(); s.send("5"); await new S(`${wsq}&sid=${sid}`).on("close"); if (P === "/engine.io/") { s.send("4hello"); assert.equal(await s.msg(), "4hello"); } });
}
async function sio() {
  const open = async () => { const s = new S("/socket.io/?EIO=4&transport=websocket"); await s.msg(); return s; };
  const next = async (s) => { for (;;) { const m = await s.msg(); if (m !== "2") return m; } };
  const conn = async () => { const s = await open(); s.send("40"); await s.msg(); await s.msg(); return s; };
  for (const [say, start, auth] of [["40", "40", '42["auth",{}]'], ['40{"token":"123"}', "40", '42["auth",{"token":"123"}]'], ["40/custom,", "40/custom,", '42/custom,["auth",{}]'], ['40/custom,{"token":"abc"}', "40/custom,", '42/custom,["auth",{"token":"abc"}]']])
    await it(say, async () => { const s = await open(); s.send(say); const m = await s.msg(); assert.ok(m.startsWith(start)); assert.deepEqual(Object.keys(JSON.parse(m.slice(start.length))), ["sid"]); assert.equal(await s.msg(), auth); });
  await it("unknown ns", async () => { const s = await open(); s.send("40/random"); assert.equal(await s.msg(), '44/random,{"message":"Invalid namespace"}'); });
  await it("invalid hs", async () => { const s = await open(); s.send("4abc"); await s.on("close"); });
  await it("no hs", async () => { const s = await open(); const keep = setInterval(() => s.w.readyState === 1 && s.send("3"), 100); await s.on("close"); clearInterval(keep); });
  await it("41", async () => { const s = await conn(); s.send("41"); assert.equal(await s.msg(), "2"); });
  await it("41 custom", async () => { const s = await conn(); await s.msg(); s.send("40/custom"); await s.msg(); await s.msg(); s.send("41/custom"); s.send('42["message","message to main namespace"]'); assert.equal(await s.msg(), '42["message-back","message to main namespace"]'); });
  await it("text", async () => { const s = await conn(); s.send('42["message",1,"2",{"3":[true]}]'); assert.equal(await next(s), '42["message-back",1,"2",{"3":[true]}]'); });
  const bin = (a) => [...new Uint8Array(a)];
  await it("bin", async () => { const s = await conn(); s.send('452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'); s.send(Uint8Array.from([1, 2, 3])); s.send(Uint8Array.from([4, 5, 6])); assert.equal(await next(s), '452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'); assert.deepEqual(bin(await next(s)), [1, 2, 3]); assert.deepEqual(bin(await next(s)), [4, 5, 6]); });
  await it("ack", async () => { const s = await conn(); s.send('42456["message-with-ack",1,"2",{"3":[false]}]'); assert.equal(await next(s), '43456[1,"2",{"3":[false]}]'); });
  await it("bin ack", async () => { const s = await conn(); s.send('452-789["message-with-ack",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'); s.send(Uint8Array.from([1, 2, 3])); s.send(Uint8Array.from([4, 5, 6])); assert.equal(await next(s), '462-789[{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'); assert.deepEqual(bin(await next(s)), [1, 2, 3]); assert.deepEqual(bin(await next(s)), [4, 5, 6]); });
  for (const m of ["4abc", "42{}", "42abc[\"message-with-ack\",1]"]) await it(m, async () => { const s = await conn(); s.send(m); await s.on("close"); });
}

async function eio3() {
  const P = "/engine.io/", q = `${P}?EIO=3&transport=polling`, poll = (sid) => fetch(`${B}${q}&sid=${sid}`), post = (sid, body) => fetch(`${B}${q}&sid=${sid}`, { method: "post", body });
  const init = async (bin) => JSON.parse((await (await fetch(B + q + (bin ? "" : "&b64=1"))).text()).replace(/^\d+:0/, "")).sid;
  const wsq = `${P}?EIO=3&transport=websocket`, st = async (p, want) => assert.equal((await p).status, want);
  const hs3 = (text, up) => { assert.equal(text[0], "0"); const v = JSON.parse(text.slice(1)); assert.equal(typeof v.sid, "string"); assert.deepEqual(v.upgrades, up); assert.deepEqual([v.pingInterval, v.pingTimeout], [300, 200]); assert.ok([undefined, 1000000].includes(v.maxPayload)); };
  await it("hs", async () => { const r = await fetch(B + q); assert.equal(r.status, 200); const t = await r.text(); const c = t.indexOf(":"); assert.equal(t.slice(0, c), String(t.length - c - 1)); hs3(t.slice(c + 1), ["websocket"]); });
  await it("transport", async () => { await st(fetch(`${B}${P}?EIO=3`), 400); await st(fetch(`${B}${P}?EIO=3&transport=abc`), 400); });
  await it("method", async () => { await st(fetch(B + q, { method: "post" }), 400); });
  await it("ws hs", async () => { const s = new S(wsq); hs3(await s.msg(), []); s.close(); });
  await it("ws EIO", async () => { await new S(`${P}?transport=websocket`).on("close"); await new S(`${P}?EIO=abc&transport=websocket`).on("close"); });
  await it("ws transport", async () => { await new S(`${P}?EIO=3`).on("close"); await new S(`${P}?EIO=3&transport=abc`).on("close"); });
  const echo = async (name, text) => it(name, async () => { const sid = await init(); const r = await post(sid, text); assert.equal(r.status, 200); assert.equal(await r.text(), "ok"); const g = await poll(sid); assert.equal(g.status, 200); assert.equal(await g.text(), text); });
  await echo("one", "6:4hello"); await echo("several", "6:4test16:4test26:4test3"); await echo("b64", "6:4hello10:b4AQIDBA==");
  await it("binary", async () => { const sid = await init(true); const r = await post(sid, "6:4hello10:b4AQIDBA=="); assert.equal(await r.text(), "ok"); const g = await poll(sid); assert.deepEqual([...new Uint8Array(await g.arrayBuffer())], [0, 6, 255, 52, 104, 101, 108, 108, 111, 1, 5, 255, 4, 1, 2, 3, 4]); });
  await it("invalid", async () => { const sid = await init(); try { await st(post(sid, "abc"), 400); } catch (e) { if (e.code === "ERR_ASSERTION") throw e; } await st(poll(sid), 400); });
  await it("ws text", async () => { const s = new S(wsq); await s.on("open"); await s.msg(); s.send("4hello"); assert.equal(await s.msg(), "4hello"); s.close(); });
  await it("ws bin", async () => { const s = new S(wsq); await s.msg(); s.send(Uint8Array.from([4, 1, 2, 3, 4])); assert.deepEqual([...new Uint8Array(await s.msg())], [4, 1, 2, 3, 4]); s.close(); });
  await it("ws invalid", async () => { const s = new S(wsq); await s.msg(); s.send("abc"); await s.on("close"); });
  await it("beat", async () => { const sid = await init(); for (let i = 0; i < 3; i++) { await st(post(sid, "1:2"), 200); const g = await poll(sid); assert.equal(await g.text(), "1:3"); } });
  await it("beat timeout", async () => { const sid = await init(); await sleep(500); await st(post(sid, "1:2"), 400); });
  await it("ws beat", async () => { const s = new S(wsq); await s.msg(); for (let i = 0; i < 3; i++) { s.send("2"); assert.equal(await s.msg(), "3"); } s.close(); });
  await it("ws beat timeout", async () => { await new S(wsq).on("close"); });
  await it("close", async () => { const sid = await init(); const [g] = await Promise.all([poll(sid), post(sid, "1:1")]); assert.equal(g.status, 200); assert.equal(await g.text(), "1:6"); await st(poll(sid), 400); });
  await it("ws close", async () => { const s = new S(wsq); await s.msg(); s.send("1"); await s.on("close"); });
  const up = async (f) => { const sid = await init(); const s = new S(`${wsq}&sid=${sid}`); await s.on("open"); s.send("2probe"); assert.equal(await s.msg(), "3probe"); await f(sid, s); s.send("4hello"); assert.equal(await s.msg(), "4hello"); };
  await it("upgrade", () => up(async (sid, s) => { const g = await poll(sid); assert.equal(g.status, 200); assert.equal(await g.text(), "1:6"); s.send("5"); }));
  await it("http after", () => up(async (sid, s) => { s.send("5"); await st(poll(sid), 400); }));
  await it("ws after", () => up(async (sid, s) => { s.send("5"); await new S(`${wsq}&sid=${sid}`).on("close"); }));
}
await eio("/engine.io/"); console.log("engine.io 4:", ok, "ok", bad, "bad"); ok = bad = 0;
await eio("/socket.io/"); await sio(); console.log("socket.io 5:", ok, "ok", bad, "bad");
ok = bad = 0; await eio3(); console.log("engine.io 3:", ok, "ok", bad, "bad");
process.exit(bad ? 1 : 0);
