// A page in Chromium, and everything that must not happen on it: errors in the console, requests to anybody else,
// breaches of the content security policy, barriers for those who use it otherwise than most.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

const { NODE_MODULES, CHROMIUM, HOST, SCREENSHOTS, PROFILE } = process.env;
const { launch } = createRequire(`${NODE_MODULES}/`)("puppeteer-core");
const AXE = readFileSync(createRequire(`${NODE_MODULES}/`).resolve("axe-core/axe.min.js"), "utf8");

// Long beyond anything that a healthy page needs.
const PATIENCE = 60_000;

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Has the test do something to the host, and waits until it is done. */
export async function outside(what) {
  console.log(`@${what}`);
  await answers.next();
}

/** Opens the page, plays a case on it, and looks at what must not have happened. */
export async function play(name, act, { width = 1440, height = 1000, scheme = "light", expected = [] } = {}) {
  const browser = await launch({
    executablePath: CHROMIUM,
    userDataDir: PROFILE,
    pipe: true,
    args: [...(process.getuid() === 0 ? ["--no-sandbox"] : []), "--no-proxy-server", "--disable-gpu", "--lang=en-GB"],
  });
  try {
    const page = new Page(name, await browser.newPage(), expected);
    await page.prepare(width, height, scheme);
    await act(page);
    page.judge();
  } finally {
    await browser.close();
  }
}

class Page {
  constructor(name, tab, expected) {
    Object.assign(this, { name, tab, expected, wrong: [] });
  }

  async prepare(width, height, scheme) {
    const { tab } = this;
    tab.setDefaultTimeout(PATIENCE);
    tab.on("console", (message) => {
      if (!["error", "warn"].includes(message.type())) return;
      const text = `${message.text()} ${message.location().url ?? ""}`;
      if (!this.expected.some((known) => text.includes(known))) this.wrong.push(`console: ${text}`);
    });
    tab.on("pageerror", (error) => this.wrong.push(`error: ${error.stack}`));
    tab.on("request", (request) => {
      const url = new URL(request.url());
      if (url.origin !== HOST && url.protocol !== "data:") this.wrong.push(`request to another origin: ${url}`);
    });
    await tab.evaluateOnNewDocument(() => {
      document.addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
    });
    await tab.setViewport({ width, height });
    await this.colours(scheme);
  }

  async colours(scheme) {
    // What moves is no part of a picture.
    const features = { "prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce" };
    await this.tab.emulateMediaFeatures(Object.entries(features).map(([name, value]) => ({ name, value })));
  }

  /** Opens it, and waits until it is live. */
  async open() {
    await this.tab.goto(`${HOST}/`);
    await this.sees("#live", "Live");
  }

  /** The words that somebody sees there; nothing where there is no such thing, or none that is shown. */
  words(selector) {
    return this.tab.evaluate((selector) => {
      const shown = [...document.querySelectorAll(selector)].filter((node) => node.checkVisibility());
      return shown.map((node) => node.innerText).join("\n");
    }, selector);
  }

  /** Waits until these words stand there. */
  async sees(selector, words) {
    const there = (selector, words) =>
      [...document.querySelectorAll(selector)].some((node) => node.checkVisibility() && node.innerText.toLowerCase().includes(words.toLowerCase()));
    await this.tab.waitForFunction(there, {}, selector, words).catch(async () => {
      assert.fail(`${selector} never said ${JSON.stringify(words)}, but: ${await this.words(selector)}\n${this.wrong.join("\n")}`);
    });
  }

  /** Presses a button that is called this. */
  async press(selector, name) {
    const button = await this.tab.waitForSelector(`${selector} ::-p-aria([name="${name}"][role="button"])`, { visible: true });
    await button.click();
  }

  async type(selector, text) {
    await this.tab.locator(selector).fill(text);
  }

  choose(selector, value) {
    return this.tab.select(selector, value);
  }

  /** No barriers by day and by night, where there is room and where there is none. */
  async isAccessible(what) {
    for (const scheme of ["dark", "light"]) {
      await this.colours(scheme);
      for (const width of [320, 1440]) {
        await this.tab.setViewport({ width, height: 1000 });
        await this.isAccessibleNow(`${what}, ${scheme}, ${width} wide`);
      }
    }
  }

  /** No barriers, and nothing to scroll sideways. */
  async isAccessibleNow(what) {
    const { tab } = this;
    const beyond = await tab.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    assert.ok(beyond <= 0, `${what}: ${beyond} pixels are beyond the edge`);
    await tab.evaluate(AXE);
    const { violations, passes } = await tab.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
    const told = violations.map(({ id, nodes }) => `${what}: ${id}: ${nodes.map((node) => `${node.html} ${node.failureSummary}`).join("\n")}`);
    assert.deepEqual(told, []);
    assert.ok(passes.length > 20, "whoever looks at nothing finds nothing");
  }

  /** On a device that is held in the hand. */
  async handheld(width, height) {
    await this.tab.setViewport({ width, height, isMobile: true, hasTouch: true });
    await this.open();
  }

  async picture(what) {
    await this.tab.evaluate(() => window.scrollTo(0, 0));
    await this.tab.screenshot({ path: `${SCREENSHOTS}/${this.name}-${what}.png`, fullPage: true });
  }

  judge() {
    assert.deepEqual(this.wrong, []);
  }
}
