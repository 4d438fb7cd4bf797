// What only one page says.
export default {
  "example.title": "Example · signalbox",
  "example.headline": "The smallest call",
  "example.lead": "This page is one short module on top of the SDK. Start your own application from it.",
  "example.state.connecting": "Connecting …",
  "example.state.open": "You are in the room.",
  "example.state.reconnecting": "The server is out of reach. Reconnecting …",
  "example.insecure": "Browsers give camera and microphone to https pages and localhost only.",
  "example.device": "The browser gives no camera or no microphone ({code}). See that both are there, free and allowed, then try again.",
  "example.source": "Read its source"
};
