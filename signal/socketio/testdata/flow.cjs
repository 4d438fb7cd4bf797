// Runs flows with one of npm's clients: node flow.cjs CLIENT URL TRANSPORTS FLOW...
// A line is "A connects", "A says EVENT", "A got EVENT", "A acked EVENT with ARGUMENTS", "A is lost",
// "A disconnects". Events are arrays in JSON; <x> stands for a value, the same wherever it stands.
// An ice event must follow each joining, and is not in the flow. For the box's own client the
// environment names WEBSOCKET.
const [, , client, url, transports, ...flows] = process.argv;
if (process.env.WEBSOCKET) browser();
const { io } = (module => ({ io: module.io || module }))(require(client));

// browser has what the box's own client expects of one.
function browser() {
  globalThis.WebSocket = require(process.env.WEBSOCKET);
  globalThis.XMLHttpRequest = class {
    open(method, url) { Object.assign(this, { method, url, headers: {}, readyState: 1, status: 0 }); }
    setRequestHeader(name, value) { this.headers[name] = value; }
    abort() { this.request.destroy(); }
    send(body) {
      const done = (status, text) => {
        if (this.readyState === 4) return;
        Object.assign(this, { readyState: 4, status, responseText: text });
        this.onreadystatechange();
      };
      this.request = require("http").request(this.url, { method: this.method, headers: this.headers }, (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part) => { text += part; }).on("end", () => done(response.statusCode, text));
      });
      this.request.on("error", () => done(0, "")).end(body || undefined);
    }
  };
}
let flow; // that runs
let sockets, values;

function matches(want, got) {
  if (typeof want === "string" && /<\w+>/.test(want) && typeof got === "string") {
    const parts = want.split(/<(\w+)>/);
    const pattern = parts.map((part, i) => {
      if (i % 2 === 0) return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
      return values.has(part) ? values.get(part).replace(/[.*+?^${}()|[\]\\]/g, "\\$&") : "(.+)";
    });
    const found = new RegExp(`^${pattern.join("")}$`).exec(got);
    const fresh = parts.filter((part, i) => i % 2 === 1 && !values.has(part));
    fresh.forEach((name, i) => found && values.set(name, found[i + 1]));
    return found !== null;
  }
  if (want && typeof want === "object" && got && typeof got === "object") {
    if (want.hex !== undefined) return Buffer.from(got).toString("hex") === want.hex;
    const keys = Object.keys(want);
    return keys.length === Object.keys(got).length && keys.every((key) => matches(want[key], got[key]));
  }
  return want === got;
}

// revive makes {"hex":"..."} binary.
function revive(value) {
  if (value && typeof value === "object") {
    if (value.hex !== undefined) return Buffer.from(value.hex, "hex");
    for (const key of Object.keys(value)) value[key] = revive(value[key]);
  }
  return value;
}

function open(name) {
  const auth = { token: process.env.TOKEN };
  if (flow.endsWith("relay.txt")) auth.room = "den";
  const socket = io(url, {
    transports: JSON.parse(transports), forceNew: true, reconnection: false, auth, query: auth, // the latter for 2.x
  });
  const state = { socket, got: [], ice: 0, wake: () => {} };
  const note = (item) => { state.got.push(item); state.wake(); };
  for (const event of ["connect", "connect_error", "error", "disconnect"]) {
    socket.on(event, (...args) => note([event, ...args.map((arg) => (arg && arg.message) || arg)]));
  }
  const heard = (event) => {
    if (event[0] === "ice") state.ice += Array.isArray(event[1].iceServers) ? 1 : 0;
    else note(event);
  };
  const onevent = socket.onevent;
  if (onevent) { // which clients of any age have, unlike onAny
    socket.onevent = function (packet) {
      heard(packet.data);
      return onevent.apply(this, arguments);
    };
  } else {
    socket.onAny((...event) => heard(event));
  }
  sockets.set(name, state);
  return state;
}

async function next(name) {
  const state = sockets.get(name);
  const late = Date.now() + 30000;
  while (state.got.length === 0) {
    if (Date.now() > late) throw new Error("nothing has come");
    await new Promise((resolve) => { state.wake = resolve; setTimeout(resolve, 100); });
  }
  return state.got.shift();
}

const steps = {
  async connects(name) {
    open(name);
    const [event, why] = await next(name);
    if (event !== "connect") throw new Error(`${event}: ${why}`);
  },
  async "is refused"(name) {
    open(name);
    const [event, why] = await next(name);
    if (event !== "connect_error" && event !== "error") throw new Error(`${event}: ${why}`);
  },
  async says(name, event) { sockets.get(name).socket.emit(...revive(event)); },
  async got(name, want) {
    const got = await next(name);
    if (got[0] === "disconnect") got.length = 1;
    if (!matches(want, got)) throw new Error(`got ${JSON.stringify(got)}`);
  },
  async asks(name, [event, want]) {
    const got = await new Promise((resolve) => sockets.get(name).socket.emit(...revive(event), (...args) => resolve(args)));
    if (!matches(want, got)) throw new Error(`acked ${JSON.stringify(got)}`);
  },
  async "has ice"(name, want) {
    const late = Date.now() + 30000;
    while (sockets.get(name).ice < want && Date.now() < late) await new Promise((resolve) => setTimeout(resolve, 5));
    if (sockets.get(name).ice !== want) throw new Error(`${sockets.get(name).ice} ice events`);
  },
  async "is lost"(name) { sockets.get(name).socket.io.engine.close(); await next(name); },
  async disconnects(name) { sockets.get(name).socket.disconnect(); await next(name); },
  async "is upgraded"(name) {
    const engine = sockets.get(name).socket.io.engine;
    const want = JSON.parse(transports).at(-1);
    const late = Date.now() + 30000;
    while (engine.transport.name !== want && Date.now() < late) await new Promise((resolve) => setTimeout(resolve, 5));
    if (engine.transport.name !== want) throw new Error(engine.transport.name);
  },
};

async function run() {
  sockets = new Map();
  values = new Map();
  const lines = require("fs").readFileSync(flow, "utf8").split("\n")
    .filter((line) => line.trim() && !line.startsWith("#"));
  for (const line of lines) {
    const [, name, step, argument] = /^(\w+) ([a-z ]+?)(?: ([[0-9].*))?$/.exec(line);
    try {
      await steps[step](name, argument && JSON.parse(argument));
    } catch (e) {
      console.error(`${flow}: ${line}\n  ${e.message}`);
      process.exit(1);
    }
  }
  for (const [name, { got, socket }] of sockets) {
    socket.disconnect();
    const rest = got.filter(([event]) => event !== "disconnect");
    if (rest.length) {
      console.error(`${flow}: ${name} also got ${JSON.stringify(rest)}`);
      process.exit(1);
    }
  }
}

(async () => {
  for (flow of flows) await run();
  setTimeout(() => process.exit(0), 50); // for what the clients say at the end
})();
