"""What the scripts share: checks that say what they checked, and waiting for conditions."""

import sys
import time

from kubernetes import client, config

LIMIT = 60.0
"""Seconds that anything may take on a machine that does other things too."""


def connect():
    config.load_kube_config()
    return client.CoreV1Api(), client.AppsV1Api()


def check(what, holds, found=None):
    """Ends the script when something does not hold."""
    if not holds:
        sys.exit(f"FAILED: {what}; found {found!r}")
    print(f"ok: {what}", flush=True)


def check_equal(what, found, wanted):
    check(what, found == wanted, found)


def refused(what, status, call, *arguments, **options):
    """Checks that a call is answered with an error status; answers the error."""
    try:
        answer = call(*arguments, **options)
    except client.ApiException as error:
        check_equal(f"{what} is answered with {status}", error.status, status)
        return error
    sys.exit(f"FAILED: {what} should be answered with {status}; found {answer!r}")


def eventually(what, attempt):
    """Waits until `attempt` answers something true; answers that."""
    deadline = time.monotonic() + LIMIT
    while True:
        found = attempt()
        if found:
            print(f"ok: {what}", flush=True)
            return found
        if time.monotonic() > deadline:
            sys.exit(f"FAILED: not within {LIMIT} s: {what}; found {found!r}")
        time.sleep(0.05)


def ask(words):
    """Has the test do what no client can: `KILL SERVER`, `START SERVER`."""
    # In one piece: other threads may print, too.
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()
    answer = sys.stdin.readline().strip()
    check_equal(words.lower(), answer, "done")


def deployment(name, replicas=1, image="hello:v1"):
    labels = {"app": name}
    container = {
        "name": "c",
        "image": image,
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
    }
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": labels}, "spec": spec}


def pod(name, image="hello:v1", **spec):
    container = {"name": "c", "image": image, "env": [{"name": "POD_NAME", "value": name}]}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 1, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def configmap(name, data, **metadata):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data}


def is_ready(pod):
    return any(condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions or [])
