// Drives one browser for a Go test: a request is one line of JSON on standard
// input, {id, op, ...}, and is answered by one on standard output, {id, value}
// or {id, error}. It runs, browser and all, inside the namespace of its test,
// and ends with its standard input.
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";

const options = JSON.parse(process.argv[2]);

// What the engines' libraries have in common is asked of a tab's page; for the
// rest, tabs of each engine have the same methods.
const { launch, gone } = await import(`./${options.engine ?? "chromium"}.mjs`);

// Keeps the page's peer connections at hand, so that a test can ask the browser
// itself what the page claims. One that is closed unused was only to tell whether
// the browser has any.
function keepPeerConnections() {
  const kept = [];
  Object.defineProperty(window, "labPeerConnections", { value: kept });
  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class RTCPeerConnection extends Native {
    constructor(...args) {
      super(...args);
      kept.push(this);
    }
    createDataChannel(...args) {
      this.labUsed = true;
      return super.createDataChannel(...args);
    }
    close() {
      const at = kept.indexOf(this);
      if (at >= 0 && !this.labUsed && !this.getTransceivers().length) kept.splice(at, 1);
      super.close();
    }
  };
}

const browser = await launch(options);

const tabs = new Map(); // by number: the engine's tab, and the lines of its console as said

const ops = {
  async open({ url, timeout, ...look }) {
    const tab = await browser.open(look, keepPeerConnections);
    tab.said = [];
    tab.page.on("console", (m) => tab.said.push({ kind: m.type(), text: `${m.text()} (${m.location().url})` }));
    tab.page.on("pageerror", (e) => tab.said.push({ kind: "uncaught", text: e.stack ?? String(e) }));
    const number = tabs.size + 1;
    tabs.set(number, tab);
    await tab.page.goto(url, { waitUntil: "load", timeout });
    return number;
  },
  async reload(tab, { timeout }) {
    await tab.page.reload({ waitUntil: "load", timeout });
  },
  evaluate: (tab, { expression }) => tab.page.evaluate(expression),
  // Whether something holds, or why that can't be told yet: one page follows another, or has only
  // begun, or lacks what is asked about; and how long the expression took, in milliseconds.
  holds: (tab, { expression }) => tab.page.evaluate(`(() => {
    const began = performance.now();
    const answer = (is) => ({ is, ms: performance.now() - began });
    if (document.readyState == "loading") return answer("loading");
    try {
      return Promise.resolve(${expression}).then((value) => answer(Boolean(value)));
    } catch (error) {
      if (error instanceof TypeError) return answer(error.message);
      throw error;
    }
  })()`).catch((error) => {
    if (!gone.test(error.message)) throw error;
    return { is: "gone", ms: 0 };
  }),
  click: (tab, { selector, timeout }) => tab.click(selector, timeout),
  fill: (tab, { selector, text, timeout }) => tab.fill(selector, text, timeout),
  press: (tab, { selector, key, timeout }) => tab.press(selector, key, timeout),
  look: (tab, look) => tab.look(look),
  async screenshot(tab, { path, full, timeout }) {
    await tab.screenshot(path, full, timeout);
  },
  // What axe-core finds wrong for people who don't see, don't point or see little.
  async audit(tab) {
    const axe = await readFile(new URL("node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
    await tab.page.evaluate(`window.axe ? 0 : (() => { ${axe}; return 0; })()`);
    // A color halfway between two is nobody's choice. Asked again and again: what a list that is made
    // anew cancels is never said to have finished.
    await tab.page.evaluate(`(async () => {
      const moves = ({ playState, effect }) => playState == "running" && effect?.getComputedTiming().iterations < 10;
      const until = performance.now() + 5000;
      while (document.getAnimations().some(moves) && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20));
    })()`);
    return tab.page.evaluate(`axe.run({ resultTypes: ["violations"] }).then(({ violations }) => violations.flatMap(
      ({ id, impact, nodes }) => nodes.map(({ target, failureSummary }) =>
        [id, impact, target.join(" "), failureSummary].join(": "))))`);
  },
  said: (tab) => tab.said,
  close: (tab) => tab.close(),
};

function answer(line) {
  process.stdout.write(JSON.stringify(line) + "\n");
}

answer({ id: 0, value: browser.version });
for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, page, ...args } = JSON.parse(line);
  // Not awaited: requests to several pages run side by side.
  Promise.resolve()
    .then(() => (page ? ops[op](tabs.get(page), args) : ops[op](args)))
    .then((value) => answer({ id, value }))
    .catch((e) => answer({ id, error: e.message ?? String(e) }));
}
await browser.close();
