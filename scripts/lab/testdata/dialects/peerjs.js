// A page with PeerJS as its documentation has it, but through a relay only: who calls, and who is
// called, shows its camera, and answers what comes as data.
import { Peer } from "peerjs";

const ice = await (await fetch("/api/ice")).json();
const app = (window.app = { received: [], errors: [], gone: [] });
const camera = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });

app.open = (id) => {
  app.peer = new Peer(id, {
    host: location.hostname, port: location.port, secure: true, path: "/",
    config: { ...ice, iceTransportPolicy: "relay" },
  });
  app.peer.on("error", ({ type }) => app.errors.push(type));
  app.peer.on("call", (call) => call.answer(camera));
  app.peer.on("connection", (far) => {
    far.on("data", (data) => far.send({ echo: data }));
    far.on("close", () => app.gone.push(far.peer));
  });
  return new Promise((done) => app.peer.on("open", done));
};
app.call = (id) => (app.media = app.peer.call(id, camera));
app.connect = (id) => {
  app.data = app.peer.connect(id);
  app.data.on("data", (data) => app.received.push(JSON.stringify(data)));
  return new Promise((done) => app.data.on("open", done));
};
app.ready = true;
