// Logs, commands, and ports of pods with the JavaScript client.

import { PassThrough, Readable } from 'node:stream';
import * as k8s from '@kubernetes/client-node';
import { check, checkEqual, eventually } from './checks.mjs';

const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const namespace = 'default';
const name = 'web';

const container = { name: 'c', image: 'hello:v1', env: [{ name: 'POD_NAME', value: name }] };
const spec = { containers: [container], terminationGracePeriodSeconds: 1 };
await core.createNamespacedPod({ namespace, body: { metadata: { name }, spec } });
await eventually('the pod is ready', async () => {
  const { status } = await core.readNamespacedPod({ namespace, name });
  return status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True');
});
await commands();
await logs();
process.exit(0);

async function run(command, input) {
  const output = collect();
  const errors = collect();
  const status = await new Promise((resolve, reject) => {
    new k8s.Exec(config)
      .exec(namespace, name, 'c', command, output, errors, input ?? null, false, resolve)
      .catch(reject);
  });
  return { status, output: output.text(), errors: errors.text() };
}

async function commands() {
  const hi = await run(['echo', 'hi']);
  checkEqual("a command's output", [hi.status.status, hi.output], ['Success', 'hi\n']);
  const fed = await run(['cat'], Readable.from(['to and fro\n']));
  checkEqual('its input', [fed.status.status, fed.output], ['Success', 'to and fro\n']);
  const failed = await run(['env', 'nope']);
  const causes = failed.status.details.causes.map(({ reason, message }) => [reason, message]);
  checkEqual('its exit code', [failed.status.reason, causes], ['NonZeroExitCode', [['ExitCode', '127']]]);
  check('its errors', failed.errors.includes('env only prints'), failed.errors);
}

// Asks the pod for a path through a forwarded port; answers what comes back.
async function ask(path) {
  const output = collect();
  const input = new PassThrough();
  const socket = await new k8s.PortForward(config).portForward(namespace, name, [8080], output, null, input);
  input.write(`GET ${path} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n`);
  await eventually(`an answer to ${path} comes through a forwarded port`, () => output.text().includes('Hello from web'));
  socket.close();
}

async function logs() {
  const read = () => core.readNamespacedPodLog({ namespace, name });
  await ask('/by-port');
  await eventually('the log has the request', async () => (await read()).includes('GET /by-port'));
  const followed = collect();
  const controller = await new k8s.Log(config).log(namespace, name, 'c', followed, { follow: true, tailLines: 0 });
  await ask('/followed');
  await eventually('a followed log goes on', () => followed.text().includes('GET /followed'));
  controller.abort();
}

// A stream that keeps what is written to it.
function collect() {
  const stream = new PassThrough();
  const parts = [];
  stream.on('data', (part) => parts.push(part));
  stream.on('error', () => {});
  stream.text = () => Buffer.concat(parts).toString();
  return stream;
}
