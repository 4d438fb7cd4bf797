// Firefox, by way of Puppeteer and WebDriver BiDi: Playwright drives only a build
// of its own. BiDi is a port on 127.0.0.1, that of the test's namespace.
import { join } from "node:path";
import puppeteer from "puppeteer-core";

// Puppeteer can't change a page's language or color scheme over BiDi.
const language = "en-US";

const preferences = {
  "intl.accept_languages": language,
  "layout.css.prefers-color-scheme.content-override": 1, // light
  "media.navigator.permission.disabled": true,
  "media.autoplay.default": 0,
  "media.peerconnection.ice.obfuscate_host_addresses": false,
  // It says nothing to anybody but the pages.
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
};

// What an evaluation fails with whose page another one follows; Puppeteer passes on BiDi's own words.
export const gone = /no such frame/;

export async function launch({ executable, camera, flags }) {
  const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath: executable,
    headless: true,
    acceptInsecureCerts: true, // covers TURN over TLS, too, but by host name only
    userDataDir: join(process.env.HOME, "profile"),
    args: flags ?? [],
    extraPrefsFirefox: { ...preferences, "media.navigator.streams.fake": camera },
  });
  return {
    version: await browser.version(),
    close: () => browser.close(),
    async open({ locale, width, height, dark }, script) {
      if (locale !== language) throw new Error(`this Firefox speaks ${language} only`);
      const context = await browser.createBrowserContext();
      const page = await context.newPage();
      // What is behind others draws no frames, and so is never found to be at rest.
      const inFront = async (selector, timeout) => {
        await page.bringToFront();
        return page.locator(selector).setTimeout(timeout);
      };
      const look = ({ width, height, dark }) => {
        if (dark) throw new Error("this Firefox shows pages in light colors only");
        return page.setViewport({ width, height });
      };
      await look({ width, height, dark });
      await page.evaluateOnNewDocument(script);
      return {
        page,
        click: async (selector, timeout) => (await inFront(selector, timeout)).click(),
        fill: async (selector, text, timeout) => (await inFront(selector, timeout)).fill(text),
        async press(selector, key) {
          await page.focus(selector);
          await page.keyboard.press(key);
        },
        look,
        screenshot: (path, fullPage) => page.screenshot({ path, fullPage }),
        close: () => context.close(),
      };
    },
  };
}
