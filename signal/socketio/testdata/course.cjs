// The course's server on npm's, for a comparison: node course.cjs SOCKET.IO
const http = require("http").createServer();
const io = new (require(process.argv[2]).Server)(http);
io.on("connection", (socket) => {
  const size = (room) => (io.sockets.adapter.rooms.get(room) || new Set()).size;
  socket.on("message", (room, data) => socket.to(room).emit("message", room, data));
  socket.on("join", (room) => {
    if (size(room) === 2) {
      socket.emit("full", room, socket.id);
      return;
    }
    socket.join(room);
    socket.emit("joined", room, socket.id);
    if (size(room) > 1) socket.to(room).emit("otherjoin", room, socket.id);
  });
  socket.on("leave", (room) => {
    socket.to(room).emit("bye", room, socket.id);
    socket.leave(room);
    socket.emit("leaved", room, socket.id);
  });
});
http.listen(0, "127.0.0.1", () => console.log(http.address().port));
process.stdin.on("end", () => process.exit(0)).resume();
