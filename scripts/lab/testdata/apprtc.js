// What a page of AppRTC's does, in the order of the original: it joins by REST, registers with
// Collider, asks for ICE servers, and calls. The first one in the room offers, by POST; the second
// one speaks over Collider. When the other end says bye, it begins anew as the first one.
(() => {
  const room = location.hash.slice(1);
  const post = (path, body) => fetch(path, { method: "POST", body });
  const app = { log: [] };
  window.app = app;

  const paint = () => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
    const context = canvas.getContext("2d");
    setInterval(() => {
      context.fillStyle = `hsl(${Math.random() * 360} 80% 50%)`;
      context.fillRect(0, 0, 320, 240);
    }, 40);
    return canvas.captureStream(25);
  };

  const send = (message) => {
    const text = JSON.stringify(message);
    if (app.isInitiator) return post(`/message/${room}/${app.id}${location.search}`, text);
    if (!app.isRegistered) return post(`/collider/${room}/${app.id}`, text);
    app.ws.send(JSON.stringify({ cmd: "send", msg: text }));
  };

  const begin = async () => {
    const pc = app.pc = new RTCPeerConnection(app.config);
    for (const track of app.stream.getTracks()) pc.addTrack(track, app.stream);
    pc.ontrack = ({ streams: [stream] }) => { document.querySelector("video").srcObject = stream; };
    pc.onicecandidate = ({ candidate }) => candidate && send({
      type: "candidate", label: candidate.sdpMLineIndex, id: candidate.sdpMid, candidate: candidate.candidate,
    });
    if (!app.isInitiator) return;
    const offer = await pc.createOffer();
    await pc.setLocalDescription(offer);
    send({ sdp: offer.sdp, type: "offer" });
  };

  const hear = async (text) => {
    const message = JSON.parse(text);
    app.log.push(message.type);
    if (message.type === "bye") {
      app.pc.close();
      app.isInitiator = true;
      return begin();
    }
    if (message.type === "candidate") {
      return app.pc.addIceCandidate({ sdpMLineIndex: message.label, candidate: message.candidate });
    }
    if ((message.type === "offer") === app.isInitiator) return; // as the original, which then only complains
    await app.pc.setRemoteDescription(message);
    if (message.type !== "offer") return;
    const answer = await app.pc.createAnswer();
    await app.pc.setLocalDescription(answer);
    send({ sdp: answer.sdp, type: "answer" });
  };

  app.start = async () => {
    const joined = await (await post(`/join/${room}${location.search}`)).json();
    app.result = joined.result;
    if (joined.result !== "SUCCESS") return;
    const { params } = joined;
    app.id = params.client_id;
    app.isInitiator = params.is_initiator === "true";
    app.config = JSON.parse(params.pc_config);
    app.config.iceServers = (await (await post(params.ice_server_url)).json()).iceServers;
    app.stream = paint();
    await begin();
    let steps = Promise.resolve();
    const take = (text) => { steps = steps.then(() => hear(text)).catch((error) => app.log.push(String(error))); };
    params.messages.forEach(take);
    app.ws = new WebSocket(params.wss_url);
    app.ws.onmessage = ({ data }) => take(JSON.parse(data).msg);
    await new Promise((resolve) => { app.ws.onopen = resolve; });
    app.ws.send(JSON.stringify({ cmd: "register", roomid: room, clientid: app.id }));
    app.isRegistered = true;
  };

  // The button.
  app.hangUp = async () => {
    await post(`/leave/${room}/${app.id}`);
    if (app.ws.readyState === WebSocket.OPEN) app.ws.send(JSON.stringify({ cmd: "send", msg: '{"type":"bye"}' }));
    app.ws.close();
    await fetch(`/collider/${room}/${app.id}`, { method: "DELETE" });
    app.pc.close();
  };
  app.start();
})();
