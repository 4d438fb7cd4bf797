// Drives one Chromium for a Go test: a request is one line of JSON on standard
// input, {id, op, ...}, and is answered by one on standard output, {id, value}
// or {id, error}. It runs, browser and all, inside the namespace of its test,
// and ends with its standard input.
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const options = JSON.parse(process.argv[2]);

const flags = [
  "--no-sandbox", // labs run as root
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Unlike Playwright's own ignoreHTTPSErrors, this covers TURN over TLS, too.
  "--ignore-certificate-errors",
  "--use-fake-ui-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
  ...(options.camera ? ["--use-fake-device-for-media-stream"] : []),
];

// Keeps the page's peer connections at hand, so that a test can ask the browser
// itself what the page claims.
function keepPeerConnections() {
  const kept = [];
  Object.defineProperty(window, "labPeerConnections", { value: kept });
  const Native = window.RTCPeerConnection;
  window.RTCPeerConnection = class RTCPeerConnection extends Native {
    constructor(...args) {
      super(...args);
      kept.push(this);
    }
  };
}

const browser = await chromium.launch({
  executablePath: options.executable,
  headless: true,
  args: [...flags, ...(options.flags ?? [])],
});

const pages = new Map(); // by number: {page, said: [lines of its console]}

const ops = {
  async open({ url, locale, width, height, dark, timeout }) {
    const context = await browser.newContext({
      ignoreHTTPSErrors: true,
      locale,
      viewport: { width, height },
      colorScheme: dark ? "dark" : "light",
    });
    await context.addInitScript(keepPeerConnections);
    const page = await context.newPage();
    const entry = { page, said: [] };
    page.on("console", (m) => entry.said.push({ kind: m.type(), text: `${m.text()} (${m.location().url})` }));
    page.on("pageerror", (e) => entry.said.push({ kind: "uncaught", text: e.stack ?? String(e) }));
    const number = pages.size + 1;
    pages.set(number, entry);
    await page.goto(url, { waitUntil: "load", timeout });
    return number;
  },
  async reload({ page, timeout }) {
    await pages.get(page).page.reload({ waitUntil: "load", timeout });
  },
  evaluate: ({ page, expression }) => pages.get(page).page.evaluate(expression),
  click: ({ page, selector, timeout }) => pages.get(page).page.click(selector, { timeout }),
  fill: ({ page, selector, text, timeout }) => pages.get(page).page.fill(selector, text, { timeout }),
  press: ({ page, selector, key, timeout }) => pages.get(page).page.press(selector, key, { timeout }),
  async look({ page, width, height, dark }) {
    const shown = pages.get(page).page;
    await shown.setViewportSize({ width, height });
    await shown.emulateMedia({ colorScheme: dark ? "dark" : "light" });
  },
  async screenshot({ page, path, full, timeout }) {
    // Animations disabled: a change of colour scheme would else be caught halfway.
    await pages.get(page).page.screenshot({ path, fullPage: full, animations: "disabled", timeout });
  },
  said: ({ page }) => pages.get(page).said,
  async close({ page }) {
    await pages.get(page).page.context().close();
  },
};

function answer(line) {
  process.stdout.write(JSON.stringify(line) + "\n");
}

answer({ id: 0, value: browser.version() });
for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, ...args } = JSON.parse(line);
  // Not awaited: requests to several pages run side by side.
  Promise.resolve()
    .then(() => ops[op](args))
    .then((value) => answer({ id, value }))
    .catch((e) => answer({ id, error: e.message ?? String(e) }));
}
await browser.close();
