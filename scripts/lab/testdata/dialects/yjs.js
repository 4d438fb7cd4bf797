// A page with a Yjs document that y-webrtc shares, through a relay only.
import * as Y from "yjs";
import { WebrtcProvider } from "y-webrtc";

const ice = await (await fetch("/api/ice")).json();
const app = (window.app = { doc: new Y.Doc() });
app.provider = new WebrtcProvider("notes", app.doc, {
  signaling: [`wss://${location.host}/yjs`],
  password: "secret", // what goes through the server is encrypted then
  peerOpts: { config: { ...ice, iceTransportPolicy: "relay" } },
});
app.text = app.doc.getText("text");
app.ready = true;
