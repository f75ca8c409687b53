// Creating, listing, patching, applying, scaling and deleting with the JavaScript client.

import * as k8s from '@kubernetes/client-node';
import { check, checkEqual, configmap, deployment, eventually, refused } from './checks.mjs';

const config = new k8s.KubeConfig();
config.loadFromDefault();
const core = config.makeApiClient(k8s.CoreV1Api);
const apps = config.makeApiClient(k8s.AppsV1Api);
const namespace = 'default';

await lists();
await patches();
await workloads();
await generic();
process.exit(0);

async function lists() {
  for (const name of ['a', 'b', 'c']) {
    await core.createNamespacedConfigMap({ namespace, body: configmap(name, {}, { labels: { set: 'js' } }) });
  }
  const first = await core.listNamespacedConfigMap({ namespace, labelSelector: 'set in (js)', limit: 2 });
  checkEqual('a list of two has two', first.items.map((item) => item.metadata.name), ['a', 'b']);
  const more = { namespace, labelSelector: 'set in (js)', _continue: first.metadata._continue };
  const rest = await core.listNamespacedConfigMap(more);
  checkEqual('the rest follows', rest.items.map((item) => item.metadata.name), ['c']);
  const there = await refused('what is there already', 409, () =>
    core.createNamespacedConfigMap({ namespace, body: configmap('a', {}) }));
  checkEqual('the reason', [there.reason, there.details.name], ['AlreadyExists', 'a']);
  await refused('what is not there', 404, () => core.readNamespacedConfigMap({ namespace, name: 'nope' }));
  await core.deleteCollectionNamespacedConfigMap({ namespace, labelSelector: 'set=js' });
  const left = await core.listNamespacedConfigMap({ namespace, labelSelector: 'set=js' });
  checkEqual('a collection is deleted', left.items.length, 0);
}

async function patches() {
  const name = 'patched';
  await core.createNamespacedConfigMap({ namespace, body: configmap(name, { a: '1', b: '2' }) });
  const patch = (body, strategy, more = {}) => core.patchNamespacedConfigMap(
    { namespace, name, body, ...more },
    k8s.setHeaderOptions('Content-Type', strategy),
  );
  const removed = await patch([{ op: 'remove', path: '/data/b' }], k8s.PatchStrategy.JsonPatch);
  checkEqual('a JSON patch', { ...removed.data }, { a: '1' });
  const merged = await patch({ data: { c: '3' } }, k8s.PatchStrategy.MergePatch);
  checkEqual('a merge patch', { ...merged.data }, { a: '1', c: '3' });
  const strategic = await patch({ data: { a: null } }, k8s.PatchStrategy.StrategicMergePatch);
  checkEqual('a strategic merge patch', { ...strategic.data }, { c: '3' });
  const apply = { fieldManager: 'js', force: true };
  const applied = await patch(configmap(name, { d: '4' }), k8s.PatchStrategy.ServerSideApply, apply);
  checkEqual('server-side apply', { ...applied.data }, { c: '3', d: '4' });
  const conflict = await refused('a field of another manager', 409, () =>
    patch(configmap(name, { d: '5' }), k8s.PatchStrategy.ServerSideApply, { fieldManager: 'other' }));
  checkEqual('the conflict names it', conflict.details.causes[0].field, '.data.d');
}

async function workloads() {
  const name = 'web';
  await apps.createNamespacedDeployment({ namespace, body: deployment(name, 1) });
  const ready = async (count) =>
    (await apps.readNamespacedDeployment({ namespace, name })).status.readyReplicas === count;
  await eventually('one replica is ready', () => ready(1));
  const scale = await apps.readNamespacedDeploymentScale({ namespace, name });
  scale.spec.replicas = 2;
  await apps.replaceNamespacedDeploymentScale({ namespace, name, body: scale });
  await eventually('two replicas are ready', () => ready(2));
  const pods = await core.listNamespacedPod({ namespace, labelSelector: 'app=web' });
  const victim = pods.items[0].metadata.name;
  await core.createNamespacedPodEviction({ namespace, name: victim, body: { metadata: { name: victim, namespace } } });
  await eventually('an evicted pod is replaced', async () => {
    const now = await core.listNamespacedPod({ namespace, labelSelector: 'app=web' });
    const names = now.items.filter((pod) => pod.status.phase === 'Running').map((pod) => pod.metadata.name);
    return names.length === 2 && !names.includes(victim);
  });
  await apps.deleteNamespacedDeployment({ namespace, name, propagationPolicy: 'Foreground' });
  await eventually('the Deployment goes', async () =>
    (await apps.listNamespacedDeployment({ namespace })).items.length === 0);
  const left = await core.listNamespacedPod({ namespace, labelSelector: 'app=web' });
  checkEqual('foreground: nothing of it is left', left.items.length, 0);
}

// The client that finds kinds by discovery.
async function generic() {
  const objects = k8s.KubernetesObjectApi.makeApiClient(config);
  const made = await objects.create(configmap('generic', { a: '1' }, { namespace }));
  check('an object of any kind is made', made.metadata.uid);
  made.data = { a: '2' };
  checkEqual('and replaced', (await objects.replace(made)).data.a, '2');
  const { items } = await objects.list('v1', 'ConfigMap', namespace);
  check('and listed', items.some((item) => item.metadata.name === 'generic'), items);
  await objects.delete(made);
  await refused('and deleted', 404, () => objects.read(made));
}
