// The library's informer. The server is killed and started meanwhile.

import * as k8s from '@kubernetes/client-node';
import { ask, checkEqual, configmap, eventually } from './checks.mjs';

const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const namespace = 'default';
const labelSelector = 'set=informed';

const put = (name) => core.createNamespacedConfigMap(
  { namespace, body: configmap(name, {}, { labels: { set: 'informed' } }) });
const list = () => core.listNamespacedConfigMap({ namespace, labelSelector });

await put('before');
const path = `/api/v1/namespaces/${namespace}/configmaps`;
const informer = k8s.makeInformer(config, path, list, labelSelector);
const told = [];
for (const verb of ['add', 'update', 'delete']) {
  informer.on(verb, (object) => told.push(`${verb} ${object.metadata.name}`));
}
// What the library says to do: start again after a pause.
informer.on('error', () => setTimeout(start, 100));
const start = () => informer.start().catch(() => setTimeout(start, 100));
await start();

const names = () => informer.list(namespace).map((object) => object.metadata.name).sort();
await eventually('the informer has what was there', () => names().join() === 'before');
await put('while');
await eventually('and what comes', () => names().join() === 'before,while');
await core.patchNamespacedConfigMap(
  { namespace, name: 'while', body: { metadata: { labels: { seen: 'yes' } } } },
  k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch),
);
await eventually('and what changes', () => told.includes('update while'));

await ask('KILL SERVER');
await ask('START SERVER');
await core.deleteNamespacedConfigMap({ namespace, name: 'before' });
await put('after');
await eventually('nothing is missed around a kill of the server', () => names().join() === 'after,while');
checkEqual('what was deleted is told once', told.filter((line) => line === 'delete before').length, 1);
process.exit(0);
