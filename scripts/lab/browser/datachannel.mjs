// One end of a data channel, by libdatachannel: relay only, over UDP.
// Argument: {"role": "offer" or "answer", "host", "port", "username", "credential"}.
// Standard input and output carry a JSON object a line: {"type", "sdp"}, each
// way, with all candidates in them. The end that offers then sends messages,
// and writes {"echoed": n} once it has them all back; the other one echoes. Both
// end with their standard input.
import { createInterface } from "node:readline";
import datachannel from "node-datachannel";

const messages = 100;
const { role, host, port, username, credential } = JSON.parse(process.argv[2]);
const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");

const pc = new datachannel.PeerConnection(role, {
  iceServers: [{ hostname: host, port, username, password: credential, relayType: "TurnUdp" }],
  iceTransportPolicy: "relay",
});
pc.onGatheringStateChange((state) => {
  if (state === "complete") say(pc.localDescription());
});

if (role === "offer") {
  const channel = pc.createDataChannel("echo");
  let echoed = 0;
  channel.onOpen(() => {
    for (let i = 0; i < messages; i++) channel.sendMessage(`message ${i}`);
  });
  channel.onMessage((message) => {
    if (message !== `message ${echoed}`) throw new Error(`got ${message} after ${echoed} messages`);
    if (++echoed === messages) say({ echoed });
  });
} else {
  pc.onDataChannel((channel) => channel.onMessage((message) => channel.sendMessage(message)));
}

for await (const line of createInterface({ input: process.stdin })) {
  const { type, sdp } = JSON.parse(line);
  pc.setRemoteDescription(sdp, type);
}
pc.close();
datachannel.cleanup();
