"""Creating, listing, patching, applying, scaling, evicting and deleting with the Python client."""

from checks import check, check_equal, configmap, connect, deployment, eventually, is_ready, refused
from kubernetes import client, utils
from kubernetes.dynamic import DynamicClient

NS = "default"


def main():
    core, apps = connect()
    version = client.VersionApi().get_code()
    check("the version says 1.34", (version.major, version.minor) == ("1", "34"), version)
    groups = [group.name for group in client.ApisApi().get_api_versions().groups]
    check("the groups have apps", "apps" in groups, groups)
    lists(core)
    patches(core)
    applies()
    leads(client.CoordinationV1Api())
    workloads(core, apps)
    deletes(core, apps)


def lists(core):
    for number in range(5):
        core.create_namespaced_config_map(NS, configmap(f"list-{number}", {"n": str(number)}, labels={"set": "list"}))
    first = core.list_namespaced_config_map(NS, label_selector="set=list", limit=2)
    check_equal("a list of two has two", [item.metadata.name for item in first.items], ["list-0", "list-1"])
    check_equal("it says how many are left", first.metadata.remaining_item_count, None)
    rest = core.list_namespaced_config_map(NS, label_selector="set=list", limit=9, _continue=first.metadata._continue)
    check_equal("the rest follows", [item.metadata.name for item in rest.items], ["list-2", "list-3", "list-4"])
    check_equal("both are of one revision", rest.metadata.resource_version, first.metadata.resource_version)
    error = refused("a broken continue token", 400, core.list_namespaced_config_map, NS, _continue="nonsense")
    check("it says so", "continue key is not valid" in error.body, error.body)
    refused("what is there already", 409, core.create_namespaced_config_map, NS, configmap("list-0", {}))
    refused("what is not there", 404, core.read_namespaced_config_map, "nope", NS)
    error = refused("a bad name", 422, core.create_namespaced_config_map, NS, configmap("Bad Name", {}))
    check("the cause names the field", '"field":"metadata.name"' in error.body, error.body)
    dry = core.create_namespaced_config_map(NS, configmap("dry", {"a": "b"}), dry_run="All")
    check("a dry run answers the object", dry.metadata.uid is not None, dry)
    refused("and does not keep it", 404, core.read_namespaced_config_map, "dry", NS)
    named = core.create_namespaced_config_map(NS, {"metadata": {"generateName": "made-"}, "data": {}})
    check("generateName makes a name", len(named.metadata.name) == 10, named.metadata.name)
    core.delete_collection_namespaced_config_map(NS, label_selector="set=list")
    left = core.list_namespaced_config_map(NS, label_selector="set=list").items
    check_equal("a collection is deleted", left, [])


def patches(core):
    core.create_namespaced_config_map(NS, configmap("patched", {"a": "1", "b": "2"}))
    # The dynamic client finds the kind by discovery, and lets one say what kind of patch it is.
    kind = DynamicClient(client.ApiClient()).resources.get(api_version="v1", kind="ConfigMap")

    def patch(content_type, body):
        content_type = f"application/{content_type}"
        return kind.patch(body=body, name="patched", namespace=NS, content_type=content_type).data.to_dict()

    json_patch = [{"op": "replace", "path": "/data/a", "value": "3"}, {"op": "remove", "path": "/data/b"}]
    check_equal("a JSON patch", patch("json-patch+json", json_patch), {"a": "3"})
    check_equal("a merge patch", patch("merge-patch+json", {"data": {"c": "4"}}), {"a": "3", "c": "4"})
    strategic = {"data": {"$patch": "replace", "d": "5"}}
    check_equal("a strategic merge patch", patch("strategic-merge-patch+json", strategic), {"d": "5"})
    stale = {"metadata": {"resourceVersion": "1"}, "data": {"d": "6"}}
    refused("a patch of an old version", 409, patch, "merge-patch+json", stale)
    failing = [{"op": "test", "path": "/data/d", "value": "no"}]
    refused("a JSON patch whose test fails", 422, patch, "json-patch+json", failing)
    before = core.read_namespaced_config_map("patched", NS)
    before.data = {"e": "7"}
    after = core.replace_namespaced_config_map("patched", NS, before)
    check_equal("a replace", after.data, {"e": "7"})
    refused("a second replace with the same version", 409, core.replace_namespaced_config_map, "patched", NS, before)


def applies():
    kind = DynamicClient(client.ApiClient()).resources.get(api_version="v1", kind="ConfigMap")

    def apply(manager, data, **options):
        body = configmap("applied", data)
        return kind.server_side_apply(body=body, namespace=NS, field_manager=manager, **options)

    check_equal("apply creates", apply("one", {"a": "1", "b": "1"}).data.to_dict(), {"a": "1", "b": "1"})
    check_equal("another manager adds", apply("two", {"c": "1"}).data.to_dict(), {"a": "1", "b": "1", "c": "1"})
    check_equal("what a manager leaves out goes", apply("one", {"a": "1"}).data.to_dict(), {"a": "1", "c": "1"})
    error = refused("a field of another", 409, apply, "two", {"a": "2", "c": "1"})
    check("the conflict names it", b'conflict with \\"one\\"' in error.body and b".data.a" in error.body, error.body)
    forced = apply("two", {"a": "2", "c": "1"}, force_conflicts=True)
    check_equal("force takes it", forced.data.to_dict(), {"a": "2", "c": "1"})
    owners = {entry.manager: entry.operation for entry in forced.metadata.managedFields}
    check_equal("managedFields say whose it is", owners, {"two": "Apply"})


def leads(coordination):
    """Leader election as libraries do it: who writes the Lease first with the version that was read leads."""

    def lease(holder):
        spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}
        return {"metadata": {"name": "leader"}, "spec": spec}

    coordination.create_namespaced_lease(NS, lease("one"))
    refused("the second who makes the Lease", 409, coordination.create_namespaced_lease, NS, lease("two"))
    seen_by_one = coordination.read_namespaced_lease("leader", NS)
    seen_by_two = coordination.read_namespaced_lease("leader", NS)
    seen_by_two.spec.holder_identity = "two"
    taken = coordination.replace_namespaced_lease("leader", NS, seen_by_two)
    check_equal("a Lease is taken over", taken.spec.holder_identity, "two")
    check_equal("microseconds are kept", taken.spec.renew_time.isoformat(), "2026-01-01T00:00:00+00:00")
    refused("who saw the old one", 409, coordination.replace_namespaced_lease, "leader", NS, seen_by_one)


def workloads(core, apps):
    utils.create_from_dict(client.ApiClient(), deployment("web", 2))
    ready = lambda count: apps.read_namespaced_deployment_status("web", NS).status.ready_replicas == count
    eventually("two replicas are ready", lambda: ready(2))
    scale = apps.read_namespaced_deployment_scale("web", NS)
    check_equal("the scale", (scale.spec.replicas, scale.status.selector), (2, "app=web"))
    scale.spec.replicas = 3
    apps.replace_namespaced_deployment_scale("web", NS, scale)
    eventually("three replicas are ready", lambda: ready(3))
    apps.patch_namespaced_deployment_scale("web", NS, {"spec": {"replicas": 1}})
    eventually("and one again", lambda: len(core.list_namespaced_pod(NS, label_selector="app=web").items) == 1)
    victim = core.list_namespaced_pod(NS, label_selector="app=web").items[0].metadata
    core.create_namespaced_pod_eviction(victim.name, NS, {"metadata": {"name": victim.name, "namespace": NS}})

    def replaced():
        pods = core.list_namespaced_pod(NS, label_selector="app=web", field_selector="status.phase=Running").items
        return len(pods) == 1 and pods[0].metadata.uid != victim.uid and is_ready(pods[0])

    eventually("an evicted pod is replaced", replaced)


def deletes(core, apps):
    apps.delete_namespaced_deployment("web", NS, propagation_policy="Orphan")
    eventually("the Deployment goes", lambda: not apps.list_namespaced_deployment(NS).items)
    sets = apps.list_namespaced_replica_set(NS, label_selector="app=web").items
    check("its ReplicaSet stays as an orphan", len(sets) == 1 and not sets[0].metadata.owner_references, sets)
    apps.create_namespaced_deployment(NS, deployment("web", 2))
    eventually(
        "a Deployment adopts it",
        lambda: apps.list_namespaced_replica_set(NS, label_selector="app=web").items[0].metadata.owner_references,
    )
    apps.delete_namespaced_deployment("web", NS, propagation_policy="Foreground")
    eventually("the Deployment goes", lambda: not apps.list_namespaced_deployment(NS).items)
    left = core.list_namespaced_pod(NS, label_selector="app=web").items
    check_equal("foreground: nothing of it is left", left, [])
    held = configmap("held", {}, finalizers=["example.com/hold"])
    core.create_namespaced_config_map(NS, held)
    core.delete_namespaced_config_map("held", NS)
    held = core.read_namespaced_config_map("held", NS)
    check("a finalizer holds", held.metadata.deletion_timestamp is not None, held)
    core.patch_namespaced_config_map("held", NS, [{"op": "remove", "path": "/metadata/finalizers"}])
    refused("without it", 404, core.read_namespaced_config_map, "held", NS)


main()
