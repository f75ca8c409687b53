"""Logs, commands, and ports of pods with the Python client."""

import threading

from checks import check, check_equal, connect, eventually, is_ready, pod, refused
from kubernetes import stream, watch

NS = "default"


def main():
    core, _ = connect()
    core.create_namespaced_pod(NS, pod("web"))
    eventually("the pod is ready", lambda: is_ready(core.read_namespaced_pod("web", NS)))
    commands(core)
    ports(core)
    logs(core)
    core.delete_namespaced_pod("web", NS, grace_period_seconds=0)


def commands(core):
    def run(*command, **options):
        wanted = {"stdin": False, "stdout": True, "stderr": True, "tty": False, **options}
        return stream.stream(core.connect_get_namespaced_pod_exec, "web", NS, command=list(command), **wanted)

    check_equal("a command's output", run("echo", "hi"), "hi\n")
    process = run("cat", stdin=True, _preload_content=False)
    process.write_stdin("to and fro\n")
    check_equal("its input", process.readline_stdout(timeout=30), "to and fro")
    process.close()
    process = run("env", "nope", _preload_content=False)
    process.run_forever(timeout=30)
    check_equal("its exit code", process.returncode, 127)
    check("its errors", "env only prints" in process.read_stderr(), process)
    refused("a command in a pod that is not there", 0, stream.stream, core.connect_get_namespaced_pod_exec, "nope", NS,
            command=["true"], stdout=True)


def ports(core):
    forward = stream.portforward(core.connect_get_namespaced_pod_portforward, "web", NS, ports="8080")
    port = forward.socket(8080)
    port.setblocking(True)
    port.sendall(b"GET /by-port HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n")
    answer = b"".join(iter(lambda: port.recv(4096), b""))
    check("an answer comes through a forwarded port", b"200 OK" in answer and b"Hello from web" in answer, answer)
    check_equal("without an error", forward.error(8080), None)
    proxied = core.connect_get_namespaced_pod_proxy_with_path("web:8080", NS, path="by-proxy")
    check("and through the API server", "Hello from web" in proxied, proxied)


def logs(core):
    read = lambda: core.read_namespaced_pod_log("web", NS)
    eventually("the log has both requests", lambda: "GET /by-port" in read() and "by-proxy" in read())
    last = core.read_namespaced_pod_log("web", NS, tail_lines=1, timestamps=True)
    check("its last line with a time", last.startswith("20") and last.count("\n") == 1, last)
    lines = []

    def follow():
        for line in watch.Watch().stream(core.read_namespaced_pod_log, "web", NS, tail_lines=0):
            lines.append(line)

    threading.Thread(target=follow, daemon=True).start()

    def comes():
        core.connect_get_namespaced_pod_proxy_with_path("web:8080", NS, path="followed")
        return any("followed" in line for line in lines)

    eventually("a followed log goes on", comes)


main()
