// Calls by name as MDN's demo makes them: a click on a name in the list invites, who is invited
// answers at once, and whoever hangs up, or loses the connection, is ready for the next call.
const $ = (id) => document.getElementById(id);
const app = (window.app = { log: [] });
const ice = await (await fetch("/api/ice")).json();
let socket, id, name, partner, connection;

const send = (message) => socket.send(JSON.stringify(message));

$("login").onclick = () => {
  socket = new WebSocket(`wss://${location.host}/`, "json");
  socket.onmessage = ({ data }) => take(JSON.parse(data));
};
$("send").onclick = () => send({ type: "message", text: $("text").value, id, date: Date.now() });
$("hang-up").onclick = () => {
  send({ type: "hang-up", name, target: partner });
  close();
};

function take(message) {
  app.log.push(message.type);
  switch (message.type) {
    case "id":
      id = message.id;
      name = $("name").value;
      return send({ type: "username", name, date: Date.now(), id });
    case "rejectusername":
      name = message.name;
      break;
    case "userlist":
      $("users").replaceChildren(...message.users.map((user) => {
        const item = Object.assign(document.createElement("li"), { textContent: user, id: `user-${user}` });
        item.onclick = () => invite(user);
        return item;
      }));
      break;
    case "message":
      $("chat").textContent += `${message.name}: ${message.text}\n`;
      break;
    case "video-offer":
      return answer(message);
    case "video-answer":
      return connection.setRemoteDescription(message.sdp);
    case "new-ice-candidate":
      return connection?.addIceCandidate(message.candidate).catch(() => {});
    case "hang-up":
      close();
  }
  document.body.dataset.name = name;
}

async function show() {
  const stream = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
  for (const track of stream.getTracks()) connection.addTransceiver(track, { streams: [stream] });
}

function begin(far) {
  partner = far;
  connection = new RTCPeerConnection({ ...ice, iceTransportPolicy: "relay" });
  connection.onicecandidate = ({ candidate }) => {
    if (candidate) send({ type: "new-ice-candidate", target: partner, candidate });
  };
  connection.ontrack = ({ streams: [stream] }) => { $("far").srcObject = stream; };
  connection.oniceconnectionstatechange = () => {
    if (["closed", "failed", "disconnected"].includes(connection?.iceConnectionState)) close();
  };
  connection.onnegotiationneeded = async () => {
    const offered = connection;
    const offer = await offered.createOffer();
    if (offered !== connection || offered.signalingState !== "stable") return;
    await offered.setLocalDescription(offer);
    send({ name, target: partner, type: "video-offer", sdp: offered.localDescription });
  };
  document.body.dataset.call = far;
}

async function invite(user) {
  if (connection || user === name) return;
  begin(user);
  await show();
}

async function answer({ name: from, sdp }) {
  if (!connection) begin(from);
  if (connection.signalingState !== "stable") {
    await Promise.all([connection.setLocalDescription({ type: "rollback" }), connection.setRemoteDescription(sdp)]);
    return;
  }
  await connection.setRemoteDescription(sdp);
  if (!connection.getSenders().some(({ track }) => track)) {
    const stream = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
    for (const track of stream.getTracks()) connection.addTrack(track, stream);
  }
  await connection.setLocalDescription(await connection.createAnswer());
  send({ name, target: from, type: "video-answer", sdp: connection.localDescription });
}

function close() {
  if (!connection) return;
  connection.oniceconnectionstatechange = connection.onnegotiationneeded = null;
  connection.getSenders().forEach(({ track }) => track?.stop());
  connection.close();
  connection = partner = null;
  delete document.body.dataset.call;
}

app.invite = invite;
app.ready = true;
