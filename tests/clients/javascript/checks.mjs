// What the scripts share: checks that say what they checked, and waiting for conditions.

import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

// Milliseconds that anything may take on a machine that does other things too.
const LIMIT = 60_000;

// Ends the script when something does not hold.
export function check(what, holds, found) {
  if (!holds) fail(what, found);
  console.log(`ok: ${what}`);
}

export function checkEqual(what, found, wanted) {
  check(what, isDeepStrictEqual(found, wanted), found);
}

// Checks that a call is answered with an error status; answers the error's Status.
export async function refused(what, status, call) {
  let answer;
  try {
    answer = await call();
  } catch (error) {
    checkEqual(`${what} is answered with ${status}`, error.code, status);
    return typeof error.body === 'string' ? JSON.parse(error.body) : error.body;
  }
  fail(`${what} should be answered with ${status}`, answer);
}

// Waits until `attempt` answers something true; answers that.
export async function eventually(what, attempt) {
  const deadline = Date.now() + LIMIT;
  for (;;) {
    const found = await attempt();
    if (found) {
      console.log(`ok: ${what}`);
      return found;
    }
    if (Date.now() > deadline) fail(`not in time: ${what}`, found);
    await pause(50);
  }
}

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

// Has the test do what no client can: `KILL SERVER`, `START SERVER`.
export async function ask(words) {
  console.log(words);
  checkEqual(words.toLowerCase(), (await answers.next()).value, 'done');
}

function fail(what, found) {
  console.error(`FAILED: ${what}; found`, found);
  process.exit(1);
}

export function deployment(name, replicas) {
  const labels = { app: name };
  const readinessProbe = { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 };
  const container = { name: 'c', image: 'hello:v1', ports: [{ containerPort: 8080 }], readinessProbe };
  const template = { metadata: { labels }, spec: { containers: [container] } };
  const spec = { replicas, selector: { matchLabels: labels }, template };
  return { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, labels }, spec };
}

export function configmap(name, data, metadata = {}) {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, ...metadata }, data };
}
