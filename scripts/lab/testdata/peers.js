// An application on all that the SDK has for peers, in window.app: a camera that has a word
// written on it, and a screen, which are canvases.
async ({ name, secret, meta, listens }) => {
  const { connect } = await import("/signalbox.js");
  const { Data } = await import("/signalbox-data.js");
  const { encrypt } = await import("/assets/js/e2ee/main.js");
  const painted = (color) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 240 });
    const context = canvas.getContext("2d");
    setInterval(() => {
      context.fillStyle = color;
      context.fillRect(0, 0, 320, 240);
      context.fillStyle = "black";
      context.fillRect(Math.random() * 300, 0, 10, 10);
    }, 40);
    return canvas.captureStream(25);
  };
  const app = { painted, log: [], asked: [], received: null };
  window.app = app;
  app.camera = painted("red");
  app.screen = painted("blue");
  app.session = await connect({ name });
  // The screen has a limit, and in the clear a codec of its own.
  const limit = ({ peer, sender, name }) => {
    if (name !== "screen") return;
    const parameters = sender.getParameters();
    for (const encoding of parameters.encodings) encoding.maxBitrate = 400_000;
    sender.setParameters(parameters);
    const { codecs } = RTCRtpReceiver.getCapabilities("video");
    const rank = ({ mimeType }) => Number(mimeType !== "video/VP9");
    const transceiver = peer.connection.getTransceivers().find((each) => each.sender === sender);
    transceiver.setCodecPreferences(codecs.sort((a, b) => rank(a) - rank(b)));
  };
  const prepare = secret ? await encrypt(secret, "peers") : limit;
  app.room = app.session.room("peers", {
    ...(listens || { stream: app.camera, streams: { screen: app.screen } }),
    prepare,
    configuration: { iceServers: [{ urls: "stun:203.0.113.9:3478" }] },
    sdpTransform: (sdp) => sdp.replace(/c=IN .*\r\n/g, "$&b=AS:4444\r\n"),
  });
  app.data = new Data(app.room, { meta });
  app.data.on("message", ({ data }) => (app.received = data));
  app.data.on("meta", ({ meta }) => app.log.push("meta " + JSON.stringify(meta)));
  app.data.on("progress", ({ received, total }) => (app.progress = received / total));
  app.data.on("ask", ({ data, answer }) => answer({ asked: data, by: name }));
  app.room.on("stream", ({ name, stream }) => app.log.push("stream " + name + " " + Boolean(stream)));

  // The color of a stream's picture, or "" while there is none.
  app.colorOf = async (stream) => {
    if (!stream?.getVideoTracks().length) return "";
    const video = Object.assign(document.createElement("video"), { muted: true, srcObject: stream });
    await Promise.race([video.play(), new Promise((resolve) => setTimeout(resolve, 1000))]);
    if (!video.videoWidth) return "";
    const canvas = Object.assign(document.createElement("canvas"), { width: 16, height: 16 });
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 16, 16);
    const [red, , blue] = context.getImageData(8, 12, 1, 1).data;
    return red > 150 && blue < 100 ? "red" : blue > 150 && red < 100 ? "blue" : "";
  };
  app.colors = async () => {
    const peer = [...app.room.peers.values()][0];
    return [await app.colorOf(peer?.stream), await app.colorOf(peer?.streams.get("screen"))].join();
  };
  app.peer = () => [...app.room.peers.values()][0];
  await app.room.join();
}
