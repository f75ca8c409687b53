"""An informer as Python programs have it: list, watch, list again after 410. The server is killed and started meanwhile."""

import threading

import urllib3
from checks import ask, check_equal, configmap, connect, eventually, refused
from kubernetes import client, watch

NS = "default"


class Informer(threading.Thread):
    """Keeps a copy of the ConfigMaps with a label, whatever happens to the server."""

    def __init__(self):
        super().__init__(daemon=True)
        self.core = client.CoreV1Api()
        self.copy = {}
        self.lists = 0
        self.bookmarks = 0

    def run(self):
        while True:
            try:
                version = self.list()
                while True:
                    version = self.watch(version)
            except client.ApiException as error:
                if error.status not in (410, 429, 500, 503):
                    raise
            except (urllib3.exceptions.HTTPError, OSError):
                pass  # the connection is gone: list again

    def list(self):
        listed = self.core.list_namespaced_config_map(NS, label_selector="set=informed", _request_timeout=2)
        self.copy = {item.metadata.name: item.data for item in listed.items}
        self.lists += 1
        return listed.metadata.resource_version

    def watch(self, version):
        events = watch.Watch().stream(
            self.core.list_namespaced_config_map,
            NS,
            label_selector="set=informed",
            resource_version=version,
            allow_watch_bookmarks=True,
            timeout_seconds=2,
        )
        for event in events:
            metadata = event["raw_object"]["metadata"]
            version = metadata["resourceVersion"]
            if event["type"] == "BOOKMARK":
                self.bookmarks += 1
            elif event["type"] == "DELETED":
                self.copy.pop(metadata["name"], None)
            else:
                self.copy[metadata["name"]] = event["object"].data
        return version


def main():
    core, _ = connect()

    def truth():
        items = core.list_namespaced_config_map(NS, label_selector="set=informed").items
        return {item.metadata.name: item.data for item in items}

    def put(name, value):
        core.create_namespaced_config_map(NS, configmap(name, {"v": value}, labels={"set": "informed"}))

    put("before", "1")
    informer = Informer()
    informer.start()
    eventually("the informer has what was there", lambda: informer.copy == {"before": {"v": "1"}})
    put("while", "2")
    eventually("and what comes", lambda: informer.copy.get("while") == {"v": "2"})
    core.patch_namespaced_config_map("before", NS, [{"op": "replace", "path": "/metadata/labels/set", "value": "other"}])
    eventually("what leaves the selector is deleted", lambda: "before" not in informer.copy)
    eventually("watches with a timeout end with a bookmark", lambda: informer.bookmarks > 0)

    put("gone", "3")
    eventually("it is seen", lambda: "gone" in informer.copy)
    ask("KILL SERVER")
    ask("START SERVER")
    core.delete_namespaced_config_map("gone", NS)
    put("after", "4")
    eventually("nothing is missed around a kill of the server", lambda: informer.copy == truth())
    check_equal("the copy is", informer.copy, {"while": {"v": "2"}, "after": {"v": "4"}})

    # A revision that the server does not have yet is waited for, and then answered with a timeout.
    future = str(10**12)
    refused("a future revision", 504, core.list_namespaced_config_map, NS, resource_version=future,
            resource_version_match="NotOlderThan", _request_timeout=30)
    stream = watch.Watch().stream(core.list_namespaced_config_map, NS, resource_version="1", timeout_seconds=5)
    # The restarted server has no history from before its start.
    refused("a watch from before the history", 410, lambda: list(stream))


main()
