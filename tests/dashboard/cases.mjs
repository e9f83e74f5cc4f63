// What people see on the dashboard, case by case: the first argument names one.

import assert from "node:assert/strict";
import { outside, play } from "./browser.mjs";

const cases = {
  /** Everything is there, by day and by night, on a desk and on a phone. */
  async load(page) {
    await page.open();
    await page.sees('[data-figure="status"]', "healthy");
    await page.sees('[data-figure="status"]', "up ");
    await page.sees('[data-provider="mock"]', "not asked yet");
    await page.sees('[data-provider="spare"]', "mock 1.0.0");
    await page.sees("#providers-count", "2 of 3 can serve");
    await page.sees('[data-provider="resting"]', "disabled");
    await page.sees('[data-plugin="mock"]', "active");
    await page.sees("#events-body", "Reload by start");
    assert.equal(await page.tab.title(), "Patchbay");
    for (const [what, width, height] of [["desk", 1440, 1000], ["laptop", 1200, 800], ["phone", 390, 844], ["narrow", 320, 640]]) {
      if (width < 600) await page.handheld(width, height);
      else await page.tab.setViewport({ width, height });
      await page.sees('[data-provider="spare"]', "not asked yet");
      await page.sees("#events-body", "Reload by start");
      for (const scheme of ["light", "dark"]) {
        await page.colours(scheme);
        await page.isAccessibleNow(`${what}, ${scheme}`);
        await page.picture(`${what}-${scheme}`);
      }
    }
  },

  /** A provider is switched off and on again. */
  async switching(page) {
    await page.open();
    await page.press("#providers", "Disable spare");
    await page.sees("#providers-outcome", "spare is disabled");
    await page.sees('[data-provider="spare"] .state', "disabled");
    await page.press("#providers", "Enable spare");
    await page.sees('[data-provider="spare"] .state', "not asked yet");
  },

  /** One can do without a mouse: what has the focus is seen, and in an order that makes sense. */
  async keyboard(page) {
    await page.open();
    await page.sees('[data-provider="mock"]', "mock");
    const focused = () => page.tab.evaluate(() => document.activeElement.getAttribute("aria-label") ?? document.activeElement.innerText);
    await page.tab.keyboard.press("Tab");
    assert.equal(await focused(), "Skip to the content");
    await page.tab.keyboard.press("Enter");
    await page.tab.keyboard.press("Tab");
    assert.equal(await focused(), "Check mock now");
    const outline = await page.tab.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.equal(outline, "solid");
    await page.tab.keyboard.press("Enter");
    await page.sees("#providers-outcome", "mock is available, checked in");
    // The row was changed, not made anew.
    assert.equal(await focused(), "Check mock now");
  },

  /** Colours are those of the system, or those that were chosen; and that is remembered. */
  async colours(page) {
    await page.open();
    const isDark = () => page.tab.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).every((part) => part < 60));
    assert.equal(await isDark(), false);
    await page.colours("dark");
    assert.equal(await isDark(), true);
    await page.choose("#theme", "light");
    assert.equal(await isDark(), false);
    await page.choose("#theme", "dark");
    await page.colours("light");
    await page.open();
    assert.equal(await isDark(), true);
    await page.choose("#theme", "auto");
    assert.equal(await isDark(), false);
  },

  /** A provider that fails is seen to, and one that comes back, without anybody touching the page. */
  async failing(page) {
    await page.open();
    await page.sees('[data-provider="flaky"] .state', "available");
    await outside("kill");
    await page.sees('[data-provider="flaky"] .state', "unavailable");
    await page.sees('[data-provider="flaky"] .why', "connection");
    await page.sees('[data-figure="status"]', "degraded");
    await page.sees("#events-body", "flaky, was available");
    await page.sees('[data-provider="flaky"] [data-title="Failed"]', "1");
    await page.tab.waitForFunction(() => document.getElementById("announcer").textContent.includes("flaky is unavailable"));
    assert.match(await page.tab.title(), /^degraded/);
    await page.isAccessible("a provider failed");
    await page.picture("failed");
    await outside("revive");
    await page.sees('[data-figure="status"]', "healthy");
    await page.choose("#events-filter", "reload");
    assert.doesNotMatch(await page.words("#events-body"), /flaky/);
  },

  /** Reload: first what would happen, then what did, and why not all of it. */
  async reload(page) {
    await page.open();
    await page.sees('[data-plugin="mock"]', "active");
    const isOff = () => page.tab.evaluate(() => [...document.querySelectorAll("#reload button")].find((button) => button.innerText === "Reload").disabled);
    assert.equal(await isOff(), true);
    await outside("break");
    await page.press("#reload", "Dry run");
    await page.sees("#reload h3", "What would happen");
    await page.sees("#reload .diff", "To mend it:");
    await page.sees("#reload .diff", "The one before goes on serving");
    await page.sees("#reload .diff", "chameleon plugin loaded");
    await page.tab.waitForFunction(() => document.getElementById("announcer").textContent.includes("Dry run: partial"));
    assert.doesNotMatch(await page.words("#plugins-body"), /chameleon/);
    await page.isAccessible("a dry run");
    await page.picture("dry-run");
    await page.press("#reload", "Reload");
    await page.sees("#reload h3", "What happened");
    await page.sees("#reload .diff", "mock plugin failed at");
    await page.sees('[data-plugin="chameleon"]', "active");
    await page.sees("#plugins-count", "with a problem");
    await page.sees("#plugins-body .problem", "To mend it:");
    await page.sees("#events-body", "Reload by api");
    assert.equal(await isOff(), true);
    await page.isAccessible("a reload");
    await page.picture("reloaded");
    // One at a time works likewise, and drains what is under way.
    await page.press("#plugins", "Disable plugin chameleon");
    await page.sees('[data-plugin="chameleon"]', "disabled");
    await page.choose("#events-filter", "audit");
    await page.sees("#events-body", "Somebody on this machine: POST /api/plugins/{id}/disable, chameleon");
    assert.doesNotMatch(await page.words("#events-body"), /Reload by/);
  },

  /** What was replaced is seen to finish what it had begun. */
  async draining(page) {
    await page.open();
    await outside("occupy");
    await page.sees('[data-plugin="mock"] [data-title="In flight"]', "1");
    await outside("replace");
    await page.press("#plugins", "Reload plugin mock");
    await page.sees("#reload .diff", "generation 1 → 2");
    await page.sees('[data-plugin="mock"] .draining', "generation 1: 1 in flight");
    await page.isAccessible("a generation drains");
    await page.picture("desk");
    await outside("let go");
    await page.sees('[data-plugin="mock"] .draining', "none");
    await page.sees("#events-body", "mock, generation 1, unloaded");
  },

  /** An answer comes piece by piece, with who gave it, how long it took to begin, and what it cost. */
  async chat(page) {
    await page.open();
    await page.type("#chat-model", "up/gated");
    await page.type("#chat-temperature", "0.5");
    await page.type("#chat-message", "What comes after a?");
    await page.tab.keyboard.press("Enter");
    for (const words of ["a", "a b", "a b c"]) {
      await outside("release");
      await page.sees(".turn.assistant .said", words);
      assert.equal(await page.words(".turn.assistant .said"), words);
      await page.sees(".turn.assistant .facts", "up · first token after");
    }
    await outside("release the rest");
    await page.sees(".turn.assistant .facts", "1 + 3 tokens · $7.00");
    await page.sees(".turn.assistant .route", "Why there:");
    await page.sees(".turn.assistant h3", "up/gated");
    await page.isAccessible("an answer");
    await page.picture("answered");
    // What has begun can be stopped.
    await page.type("#chat-message", "And after that?");
    await page.press("#playground", "Send");
    await outside("release one more");
    await page.sees(".turn.assistant:last-child .said", "a");
    await page.press("#playground", "Stop");
    await page.sees(".turn.assistant:last-child .facts", "stopped");
    await outside("see that it ended");
    // And what cannot be answered says why.
    await page.type("#chat-model", "up/fails");
    await page.type("#chat-message", "Fail");
    await page.press("#playground", "Send");
    await page.sees(".turn.assistant:last-child .error-box", "Request req-");
    await page.picture("failed");
  },

  /** What was used shows up by itself: what it cost, by whom, when; for eyes, for keys, and as a table. */
  async usage(page) {
    await page.open();
    await page.sees("#usage-body", "Nothing was asked in this time.");
    await page.isAccessible("nothing used");
    await outside("ask");
    await page.sees("#usage-body .totals", "4 requests");
    await page.sees("#usage-body .totals", "1 error");
    await page.sees("#usage-body .legend", "up 3");
    await page.sees('[data-figure="cost"]', "$21.00");
    for (const [measure, words] of [["cost", "up $21.00"], ["tokens", "up 12"], ["errors", "down 1"]]) {
      await page.choose("#usage-measure", measure);
      await page.sees("#usage-body .legend", words);
    }
    await page.choose("#usage-measure", "latency");
    await page.sees("#usage-body .legend", "p99");
    await page.choose("#usage-measure", "cost");
    for (const [by, words] of [["key", "no key $21.00"], ["model", "plain $21.00"]]) {
      await page.choose("#usage-by", by);
      await page.sees("#usage-body .legend", words);
    }
    for (const range of ["1h", "7d", "30d", "24h"]) {
      await page.choose("#usage-range", range);
      await page.tab.waitForFunction((range) => document.querySelector("#usage-body .chart-stage")?.getAttribute("aria-valuemax") === { "1h": "60", "24h": "24", "7d": "168", "30d": "30" }[range], {}, range);
      await page.sees("#usage-body .legend", "plain $21.00");
    }
    await page.tab.focus("#usage-body .chart-stage");
    await page.tab.keyboard.press("End");
    await page.sees("#usage-body .readout", "plain $21.00");
    assert.match(await page.tab.$eval("#usage-body .chart-stage", (stage) => stage.getAttribute("aria-valuetext")), /plain \$21\.00/);
    await page.tab.click("#usage-body summary");
    await page.sees("#usage-body .as-table", "$21.00");
    await page.isAccessible("what was used");
    await page.picture("desk");
  },

  /** Whoever needs a token is asked for it once; a wrong one is said to be one. */
  async token(page) {
    await page.tab.goto(`${process.env.HOST}/`);
    await page.sees("#token-dialog", "wants a token");
    await page.isAccessible("a token is asked for");
    await page.picture("asked");
    await page.type("#token-input", "a-guess");
    await page.tab.keyboard.press("Enter");
    await page.sees("#token-wrong", "That token was not accepted");
    await page.type("#token-input", process.env.TOKEN);
    await page.press("#token-dialog", "Open the dashboard");
    await page.sees("#live", "Live");
    await page.sees('[data-provider="mock"]', "mock");
    await page.open();
    assert.equal(await page.words("#token-dialog"), "");
    await page.press(".top", "Sign out");
    await page.sees("#token-dialog", "wants a token");
    assert.equal(await page.words('[data-provider="mock"]'), "");
  },

  /** Where there is nothing yet, it says what to do. */
  async empty(page) {
    await page.open();
    await page.sees("#providers-body", "No providers yet.");
    await page.sees("#plugins-body", "patchbay plugin new hello");
    await page.sees('[data-figure="status"]', "no providers");
    await page.isAccessible("nothing there");
    await page.picture("desk");
  },

  /** What may be asked is there to be read, searched and copied. */
  async docs(page) {
    const { HOST } = process.env;
    await page.tab.browserContext().overridePermissions(HOST, ["clipboard-read", "clipboard-sanitized-write"]);
    await page.open();
    await page.tab.click('.top a[href="/docs"]');
    await page.sees("#found", " routes");
    const shown = () => page.tab.evaluate(() => [...document.querySelectorAll(".route")].filter((node) => node.checkVisibility()).map((node) => node.id));
    const all = await shown();
    assert.ok(all.length > 35 && all.includes("getDocs"), `${all}`);
    assert.equal(await page.words("#found"), `${all.length} routes`);
    await page.isAccessible("all routes");
    // Every word has to stand there, wherever.
    await page.type("#find", "KEY make");
    assert.deepEqual(await shown(), ["createKey"]);
    assert.match(await page.words("#found"), /^1 of/);
    await page.tab.click("#createKey > summary");
    await page.sees("#createKey", "Asks for a key with the scope admin, or for the admin token");
    await page.sees("#createKey .members", "expires_in");
    await page.sees("#createKey pre", `${HOST}/api/keys' \\\n  -H "authorization: Bearer $TOKEN"`);
    await page.press("#createKey", "Copy the command");
    await page.sees("#createKey .command button", "Copied");
    const copied = await page.tab.evaluate(() => navigator.clipboard.readText());
    assert.match(copied, /^curl -X POST '.*\/api\/keys' [^]* -d '\{[^']*"name":"web team"[^']*\}'$/);
    // What is deep, and what is answered, is opened step by step.
    const open = (selector, words) => page.tab.evaluate((selector, words) => [...document.querySelectorAll(selector)].find((node) => node.innerText.includes(words)).click(), selector, words);
    await open("#createKey .members summary", "Members");
    await page.sees("#createKey .members .members", "budget_usd_per_month");
    await open("#createKey .answer summary", "201");
    await page.sees("#createKey .answer", "pb-shown-once");
    await open("#createKey .answer summary", "503");
    await page.sees("#createKey .answer", '"store_unavailable"');
    await page.sees("#createKey .answer .members", "What is kept on disk cannot be read or written");
    await open("#createKey .answer summary", "401");
    await page.sees("#createKey .answer", "www-authenticate string always");
    await page.isAccessible("a route");
    await page.picture("desk");
    await page.tab.setViewport({ width: 390, height: 844, isMobile: true, hasTouch: true });
    await page.colours("dark");
    await page.picture("phone-dark");
    await page.type("#find", "if-match version");
    assert.deepEqual(await shown(), []);
    await page.sees(".codes", "stale_version Provider changed meanwhile");
    await page.type("#find", "no such route");
    assert.deepEqual(await shown(), []);
    assert.match(await page.words("#found"), /^0 of/);
    // One route can be linked to; and there is a way back.
    await page.tab.goto(`${HOST}/docs#reload`);
    await page.tab.reload();
    await page.sees("#reload[open]", "Only says what would come of it");
    await page.tab.click('.top a[href="/"]');
    await page.sees("#live", "Live");
  },

  /** A page that cannot hear the host says so, and hears it again. */
  async away(page) {
    await page.open();
    // What was asked before is answered.
    await page.sees("#usage-body", "Nothing was asked in this time.");
    await outside("stop");
    await page.sees("#live", "Not live");
    await page.picture("away");
    await outside("start");
    await page.tab.waitForFunction(() => document.getElementById("live").dataset.live === "up");
    assert.equal(await page.words("#live"), "Live");
  },
};

const [name] = process.argv.slice(2);
// What the browser itself says of an answer that is an error, where one is meant to come.
const expected = { token: ["status of 401"], chat: ["status of 5"] };
await play(name, cases[name], { expected: expected[name] });
process.exit(0);
