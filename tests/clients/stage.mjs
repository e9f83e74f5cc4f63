// What the script beside this one shares with those in Python: see `stage.py`.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";

export const { HOST, GUARDED, UPSTREAM, TOKEN } = process.env;

// Long beyond anything that a healthy host needs.
export const PATIENCE = 30_000;

async function get(url, method = "GET") {
  const answer = await fetch(url, { method, signal: AbortSignal.timeout(PATIENCE) });
  assert.equal(answer.status, 200, url);
  return answer.json();
}

// The bodies that upstream was sent so far.
export const seen = () => get(`${UPSTREAM}/seen`);

// The last of them.
export const asked = async () => (await seen()).at(-1);

// Lets so many chunks of `gated` streams go.
export const release = (chunks) => get(`${UPSTREAM}/release/${chunks}`, "POST");

async function inFlight() {
  const { providers } = await get(`${HOST}/api/providers`);
  return providers.reduce((sum, provider) => sum + provider.in_flight, 0);
}

// Waits until one request is: without it, `left` would prove nothing.
export async function underWay() {
  await get(`${UPSTREAM}/open/1`);
  assert.equal(await inFlight(), 1);
}

// Waits until upstream was left alone, and the host has nothing in flight.
export async function left() {
  await get(`${UPSTREAM}/open/0`);
  const begun = Date.now();
  while (await inFlight()) {
    assert.ok(Date.now() - begun < PATIENCE, "a request that was given up is still in flight");
    await pause(10);
  }
}

// The error of that class; any other one fails the case.
export async function raises(kind, act) {
  try {
    await act();
  } catch (error) {
    if (error instanceof kind) return error;
    throw error;
  }
  assert.fail(`not raised: ${kind.name}`);
}

// Runs every case, also after one that fails.
export async function run(cases) {
  const failed = [];
  for (const [name, act] of Object.entries(cases)) {
    try {
      await act();
    } catch (error) {
      failed.push(name);
      console.error(`${name}: ${error.stack}`);
    }
  }
  if (failed.length) console.error(`failed: ${failed.join(", ")}`);
  process.exit(failed.length ? 1 : 0);
}
