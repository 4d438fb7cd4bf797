// A small application on the SDK, which keeps what happens to it where a test
// can ask: in window.app.
async ({ name, user, relayOnly }) => {
  const { connect } = await import("/signalbox.js");
  const app = { heard: [], resumed: 0, rejoined: 0, addressChanged: false, pictures: 0 };
  window.app = app;

  app.session = await connect({ name, user });
  app.session.on("resumed", ({ addressChanged }) => {
    app.resumed++;
    app.addressChanged ||= addressChanged;
  });
  const stream = await navigator.mediaDevices.getUserMedia({ video: true });
  app.room = app.session.room("x", { stream, relayOnly });
  app.room.on("broadcast", ({ data }) => app.heard.push(data));
  app.room.on("rejoined", () => app.rejoined++);

  // The longest time in which no new picture was shown, since watch was called.
  let last, longest;
  app.watch = () => {
    app.pictures = longest = 0;
    last = performance.now();
  };
  app.stillness = () => Math.max(longest, performance.now() - last);
  app.watch();
  app.room.on("track", ({ stream }) => {
    const video = document.createElement("video");
    video.muted = video.autoplay = true;
    video.srcObject = stream;
    document.body.append(video);
    const shown = () => {
      app.pictures++;
      longest = app.stillness();
      last = performance.now();
      video.requestVideoFrameCallback(shown);
    };
    video.requestVideoFrameCallback(shown);
  });
  await app.room.join();
}
