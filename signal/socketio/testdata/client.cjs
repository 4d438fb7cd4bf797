// What pages do with the box's own client, besides flows, against npm's server:
// node client.cjs CLIENT SOCKET.IO; the environment names WEBSOCKET.
const assert = require("assert");
globalThis.WebSocket = require(process.env.WEBSOCKET);
const io = require(process.argv[2]);
const { Server } = require(process.argv[3]);

const event = (of, name) => new Promise((resolve) => of.once(name, (...args) => resolve(args)));

function serve(port) {
  const http = require("http").createServer();
  const server = new Server(http);
  server.on("connection", (socket) => {
    socket.on("echo", (...args) => { const ack = args.pop(); ack(...args); });
    socket.on("ask", (done) => socket.emit("question", 20, (answer) => done(answer)));
    socket.on("kick", () => socket.disconnect());
    socket.emit("hello", socket.handshake.auth, socket.handshake.query.who);
  });
  server.use((socket, next) => next(socket.handshake.auth.token === "wrong" ? new Error("unauthorized") : undefined));
  return new Promise((resolve) => http.listen(port, "127.0.0.1", () => resolve({ server, port: http.address().port })));
}

(async () => {
  const { server, port } = await serve(0);
  const url = `http://127.0.0.1:${port}`;
  const options = { transports: ["websocket"], reconnectionDelay: 20, forceNew: true };
  const socket = io(`${url}?who=me`, { ...options, auth: (done) => done({ token: "right" }) });
  const any = [];
  socket.onAny((...args) => any.push(args[0]));
  socket.emit("echo", "sent before it is connected", () => {});
  assert.deepEqual(await event(socket, "hello"), [{ token: "right" }, "me"]);
  assert.ok(socket.connected && socket.active && socket.id && !socket.disconnected);
  assert.deepEqual(await socket.emitWithAck("echo", { a: [1, "é😀"] }), { a: [1, "é😀"] });
  assert.equal(await socket.timeout(5000).emitWithAck("echo", 1), 1);
  await assert.rejects(socket.timeout(20).emitWithAck("nobody answers"), /timed out/);
  socket.on("question", (n, answer) => answer(n + 1));
  assert.equal(await socket.emitWithAck("ask"), 21);
  const bytes = await socket.emitWithAck("echo", { of: new Uint8Array([1, 2, 255]) });
  assert.deepEqual([...new Uint8Array(bytes.of)], [1, 2, 255]);
  socket.volatile.emit("echo", 1, () => {});
  assert.deepEqual(any, ["hello", "question"]);
  assert.throws(() => socket.emit("disconnect"), /reserved/);

  const refused = io(url, { ...options, auth: { token: "wrong" } });
  assert.match((await event(refused, "connect_error"))[0].message, /unauthorized/);
  assert.ok(!refused.active);
  const elsewhere = io(`${url}/nowhere`, options);
  assert.match((await event(elsewhere, "connect_error"))[0].message, /Invalid namespace/);

  const kicked = io(url, options);
  await event(kicked, "connect");
  kicked.emit("kick");
  assert.equal((await event(kicked, "disconnect"))[0], "io server disconnect");
  assert.ok(!kicked.active);
  kicked.connect();
  await event(kicked, "connect");
  kicked.disconnect();

  // The server goes, and comes back.
  const lost = event(socket, "disconnect");
  const attempt = event(socket.io, "reconnect_attempt");
  const failed = event(socket.io, "reconnect_error");
  const back = event(socket.io, "reconnect");
  server.close();
  assert.equal((await lost)[0], "transport close");
  assert.ok(socket.active);
  assert.deepEqual(await attempt, [1]);
  await failed;
  const again = await serve(port);
  await back;
  if (!socket.connected) await event(socket, "connect");
  assert.equal(await socket.emitWithAck("echo", "again"), "again");

  const gone = event(socket, "disconnect");
  socket.close();
  assert.equal((await gone)[0], "io client disconnect");
  again.server.close();

  const nobody = io(`http://127.0.0.1:${port}`, { ...options, reconnectionAttempts: 2 });
  const over = event(nobody.io, "reconnect_failed");
  await event(nobody, "connect_error");
  await over;
  process.exit(0);
})().catch((e) => { console.error(e); process.exit(1); });
setTimeout(() => { console.error("it hangs"); process.exit(1); }, 60000);
