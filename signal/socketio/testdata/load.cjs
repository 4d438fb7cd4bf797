// The v* rows on npm's server, for a comparison of what a message costs:
// node load.cjs SOCKET.IO [ADDRESS PORT]
const http = require("http").createServer();
const io = new (require(process.argv[2]).Server)(http);
io.on("connection", (socket) => {
  socket.on("vjoin", (room, name) => {
    socket.join(room);
    socket.emit("vjoined", room);
    socket.to(room).emit("votherjoined", room, name);
  });
  socket.on("vdata", (room, data) => socket.to(room).emit("vgetdata", room, data));
});
http.listen(Number(process.argv[4] ?? 0), process.argv[3] ?? "127.0.0.1", () => console.log(http.address().port));
if (process.argv.length < 4) process.stdin.on("end", () => process.exit(0)).resume(); // a test's, which ends
