// What the page of Google's codelab does, and most of the tutorials that came of it: who has created
// the room calls once the other one has its camera, and who says bye, or is said to, begins anew.
(() => {
  const room = location.hash.slice(1);
  const app = (window.app = { pc: null, isInitiator: false });
  const socket = io.connect();
  let isChannelReady = false, isStarted = false, ice, localStream;

  const send = (message) => socket.emit("message", message);

  socket.on("created", () => { app.isInitiator = true; });
  socket.on("full", () => { app.isFull = true; });
  socket.on("join", () => { isChannelReady = true; });
  socket.on("joined", () => { isChannelReady = true; });
  socket.on("message", (message) => {
    if (message === "got user media") return start();
    if (message === "bye") return isStarted && (stop(), app.isInitiator = false);
    if (message.type === "offer") {
      if (!app.isInitiator && !isStarted) start();
      app.pc.setRemoteDescription(message);
      app.pc.createAnswer().then(say);
    } else if (message.type === "answer" && isStarted) {
      app.pc.setRemoteDescription(message);
    } else if (message.type === "candidate" && isStarted) {
      app.pc.addIceCandidate({ sdpMLineIndex: message.label, candidate: message.candidate });
    }
  });

  function say(description) {
    app.pc.setLocalDescription(description);
    send(description);
  }

  function start() {
    if (isStarted || !localStream || !isChannelReady) return;
    isStarted = true;
    app.pc = new RTCPeerConnection({ ...ice, iceTransportPolicy: "relay" });
    app.pc.onicecandidate = ({ candidate }) => candidate && send({
      type: "candidate", label: candidate.sdpMLineIndex, id: candidate.sdpMid, candidate: candidate.candidate,
    });
    app.pc.ontrack = ({ streams: [stream] }) => { document.querySelector("video").srcObject = stream; };
    for (const track of localStream.getTracks()) app.pc.addTrack(track, localStream);
    if (app.isInitiator) app.pc.createOffer().then(say);
  }

  function stop() {
    isStarted = false;
    app.pc.close();
    app.pc = null;
  }

  // The button.
  app.leave = () => {
    stop();
    send("bye");
  };
  window.onbeforeunload = () => send("bye");

  socket.emit("create or join", room);
  Promise.all([
    fetch("/api/ice").then((answer) => answer.json()),
    navigator.mediaDevices.getUserMedia({ audio: true, video: true }),
  ]).then(([servers, stream]) => {
    ice = servers;
    localStream = stream;
    app.ready = true;
    send("got user media");
    if (app.isInitiator) start();
  });
})();
