// Chromium, by way of Playwright.
import { chromium } from "playwright-core";

const flags = [
  "--no-sandbox", // labs run as root
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--use-fake-ui-for-media-stream",
  "--autoplay-policy=no-user-gesture-required",
];

// Unlike Playwright's own ignoreHTTPSErrors, it covers TURN over TLS, too.
const trusting = "--ignore-certificate-errors";

// What an evaluation fails with whose page another one follows.
export const gone = /context was destroyed/;

export async function launch({ executable, camera, verify, past, flags: more }) {
  const browser = await chromium.launch({
    executablePath: executable,
    headless: true,
    args: [...flags, ...(verify || past ? [] : [trusting]), ...(camera ? ["--use-fake-device-for-media-stream"] : []), ...(more ?? [])],
  });
  return {
    version: browser.version(),
    close: () => browser.close(),
    async open({ locale, width, height, dark }, script) {
      const context = await browser.newContext({
        ignoreHTTPSErrors: !verify,
        locale,
        viewport: { width, height },
        colorScheme: dark ? "dark" : "light",
      });
      await context.addInitScript(script);
      const page = await context.newPage();
      return {
        page,
        click: (selector, timeout) => page.click(selector, { timeout }),
        fill: (selector, text, timeout) => page.fill(selector, text, { timeout }),
        press: (selector, key, timeout) => page.press(selector, key, { timeout }),
        async look({ width, height, dark }) {
          await page.setViewportSize({ width, height });
          await page.emulateMedia({ colorScheme: dark ? "dark" : "light" });
        },
        // Animations disabled: a change of color scheme would else be caught halfway.
        screenshot: (path, fullPage, timeout) => page.screenshot({ path, fullPage, timeout, animations: "disabled" }),
        close: () => context.close(),
      };
    },
  };
}
