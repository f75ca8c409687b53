"""A controller for a kind of its own, as people write them in Python: each Greeting becomes a ConfigMap."""

import threading

from checks import check, check_equal, connect, eventually, refused
from kubernetes import client, watch
from kubernetes.dynamic import DynamicClient

GROUP, VERSION, PLURAL, NS = "py.example.com", "v1", "greetings", "default"


def definition():
    text = {"type": "string"}
    spec = {
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "word": {"type": "string", "default": "Hello"},
            "times": {"type": "integer", "minimum": 1, "maximum": 3, "default": 1},
        },
    }
    status = {"type": "object", "properties": {"text": text}}
    schema = {"type": "object", "properties": {"spec": spec, "status": status}}
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [{"name": "Text", "type": "string", "jsonPath": ".status.text"}],
    }
    names = {"plural": PLURAL, "singular": "greeting", "kind": "Greeting", "shortNames": ["gr"]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
    }


class Controller(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        dynamic = DynamicClient(client.ApiClient())
        self.configs = dynamic.resources.get(api_version="v1", kind="ConfigMap")
        self.custom = client.CustomObjectsApi()

    def run(self):
        try:
            while True:
                self.follow()
        except client.ApiException as error:
            if error.status != 404:  # the kind is gone, and with it the work
                raise

    def follow(self):
        listed = self.custom.list_namespaced_custom_object(GROUP, VERSION, NS, PLURAL)
        for greeting in listed["items"]:
            self.reconcile(greeting)
        events = watch.Watch().stream(
            self.custom.list_namespaced_custom_object,
            GROUP, VERSION, NS, PLURAL,
            resource_version=listed["metadata"]["resourceVersion"],
            timeout_seconds=20,
        )
        for event in events:
            if event["type"] in ("ADDED", "MODIFIED"):
                self.reconcile(event["object"])

    def reconcile(self, greeting):
        metadata, spec = greeting["metadata"], greeting["spec"]
        text = " ".join([f"{spec['word']} {spec['name']}"] * spec["times"])
        owner = {
            "apiVersion": greeting["apiVersion"],
            "kind": "Greeting",
            "name": metadata["name"],
            "uid": metadata["uid"],
            "controller": True,
        }
        wanted = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": metadata["name"], "ownerReferences": [owner]},
            "data": {"text": text},
        }
        self.configs.server_side_apply(body=wanted, namespace=NS, field_manager="greeter")
        if greeting.get("status", {}).get("text") != text:
            status = {"status": {"text": text}}
            self.custom.patch_namespaced_custom_object_status(GROUP, VERSION, NS, PLURAL, metadata["name"], status)


def main():
    core, _ = connect()
    custom = client.CustomObjectsApi()
    client.ApiextensionsV1Api().create_custom_resource_definition(definition())

    def established():
        conditions = client.ApiextensionsV1Api().read_custom_resource_definition(f"{PLURAL}.{GROUP}").status.conditions
        return any(condition.type == "Established" and condition.status == "True" for condition in conditions or [])

    eventually("the kind is established", established)
    Controller().start()

    def greet(of, **spec):
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "Greeting", "metadata": {"name": of}, "spec": spec}
        return custom.create_namespaced_custom_object(GROUP, VERSION, NS, PLURAL, body)

    made = greet("world", name="World", unknown="field")
    check_equal("defaults are set and unknown fields pruned", made["spec"], {"name": "World", "word": "Hello", "times": 1})
    error = refused("a value out of bounds", 422, greet, "many", name="World", times=4)
    check("the message names it", "spec.times" in error.body and "less than or equal to 3" in error.body, error.body)
    refused("a required field that is missing", 422, greet, "nobody")

    def text():
        try:
            return core.read_namespaced_config_map("world", NS).data["text"]
        except client.ApiException as error:
            return str(error.status)

    eventually("the controller makes a ConfigMap", lambda: text() == "Hello World")
    patch = {"spec": {"times": 2}}
    patched = custom.patch_namespaced_custom_object(GROUP, VERSION, NS, PLURAL, "world", patch)
    check_equal("a change of the spec is a new generation", patched["metadata"]["generation"], 2)
    eventually("and follows changes", lambda: text() == "Hello World Hello World")
    read = lambda: custom.get_namespaced_custom_object_status(GROUP, VERSION, NS, PLURAL, "world")
    eventually("the status says so", lambda: read().get("status") == {"text": "Hello World Hello World"})
    check_equal("a status makes no generation", read()["metadata"]["generation"], 2)
    custom.delete_namespaced_custom_object(GROUP, VERSION, NS, PLURAL, "world")
    eventually("what it owned is collected", lambda: text() == "404")
    greet("last", name="Last")
    client.ApiextensionsV1Api().delete_custom_resource_definition(f"{PLURAL}.{GROUP}")
    gone = lambda: f"{GROUP}" not in [group.name for group in client.ApisApi().get_api_versions().groups]
    eventually("the kind goes with its definition", gone)


main()
