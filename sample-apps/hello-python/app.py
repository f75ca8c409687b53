"""wasi:http in Python: answers with its host's name, its version and how many requests this instance has had.

How often an instance is called before another takes its place is the pod's annotation
`wasmk.dev/requests-per-instance`; without it each request has an instance, and a count, of its own.
"""

import os

from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports.types import Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam

count = 0


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        global count
        path = request.path_with_query()
        if path == "/healthz":
            respond(response_out, "ok\n")
            return
        count += 1
        print(path)
        host, version = os.environ.get("HOSTNAME"), os.environ.get("VERSION", "v1")
        respond(response_out, f"Hello from {host}\nversion: {version}\nrequests: {count}\n")


def respond(response_out: ResponseOutparam, text: str) -> None:
    response = OutgoingResponse(Fields.from_list([("content-type", b"text/plain; charset=utf-8")]))
    body = response.body()
    ResponseOutparam.set(response_out, Ok(response))
    with body.write() as stream:
        stream.blocking_write_and_flush(text.encode())
    OutgoingBody.finish(body, None)
