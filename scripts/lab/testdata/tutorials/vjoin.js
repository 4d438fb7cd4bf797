// What a page of the v* events does: whoever is there calls the one who comes. "candidata" is how
// that page spells it.
(() => {
  const room = location.hash.slice(1);
  const name = `user${Math.floor(Math.random() * 1e6)}`;
  const app = (window.app = { pc: null, state: "init" });
  const socket = io();
  let ice, localStream;

  const send = (data) => socket.emit("vdata", room, data);

  socket.on("ice", (servers) => { ice = servers; });
  socket.on("vfull", () => { app.state = "leaved"; });
  socket.on("vjoined", () => {
    app.state = "joined";
    app.ready = true;
  });
  socket.on("votherjoined", () => {
    app.state = "joined_conn";
    connect();
    app.pc.createOffer().then(say);
  });
  socket.on("votherleft", () => {
    app.state = "joined_unbind";
    close();
  });
  socket.on("vleft", () => {
    app.state = "leaved";
    socket.disconnect();
  });
  socket.on("vgetdata", (where, data) => {
    if (data.type === "offer") {
      connect();
      app.pc.setRemoteDescription(data);
      app.pc.createAnswer().then(say);
    } else if (data.type === "answer") {
      app.pc.setRemoteDescription(data);
    } else if (data.type === "candidata") {
      app.pc.addIceCandidate({ sdpMLineIndex: data.label, sdpMid: data.id, candidate: data.candidate });
    }
  });

  function say(description) {
    app.pc.setLocalDescription(description);
    send(description);
  }

  function connect() {
    app.pc = new RTCPeerConnection({ ...ice, iceTransportPolicy: "relay" });
    app.pc.onicecandidate = ({ candidate }) => candidate && send({
      type: "candidata", label: candidate.sdpMLineIndex, id: candidate.sdpMid, candidate: candidate.candidate,
    });
    app.pc.ontrack = ({ streams: [stream] }) => { document.querySelector("video").srcObject = stream; };
    for (const track of localStream.getTracks()) app.pc.addTrack(track, localStream);
  }

  function close() {
    app.pc?.close();
    app.pc = null;
  }

  // The button.
  app.leave = () => {
    socket.emit("vleave", room, name);
    close();
  };

  navigator.mediaDevices.getUserMedia({ audio: true, video: true }).then((stream) => {
    localStream = stream;
    socket.emit("vjoin", room, name);
  });
})();
