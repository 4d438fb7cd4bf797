// What only one page says.
export default {
  "sdk.title": "The SDK · signalbox",
  "sdk.headline": "The SDK",
  "sdk.lead": "Four modules that this box serves: sessions, rooms and calls; and, if you want them, data, devices and statistics. There is nothing to build.",
  "sdk.use": "From a page of another origin, import them from this box’s own address, and add the page’s origin to allowed_origins under [web]. For bundlers and Node, “signalbox sdk DIR” writes them as an npm package.",
  "sdk.contents": "Contents",
  "sdk.examples": "Examples that run here",
  "sdk.examples.what": "What you read is what runs, in this page, against this box. Where there are two people, this page is both.",
  "sdk.run": "Run",
  "sdk.output": "Output",
  "sdk.errors": "Error codes",
  "sdk.errors.what": "Errors have a code to branch on and a message to show.",
  "sdk.compare": "Compared with others",
  "sdk.compare.what": "As of peerjs 1.5.5, simple-peer 9.11.1, livekit-client 2.23.0, socket.io-client 4.8.4 and trystero 0.25.4. Each “we” names the test that proves it, or says why not.",
  "sdk.they": "They",
  "sdk.we": "We"
};
