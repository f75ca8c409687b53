"""An HTTP service: it is called per request, and costs nothing between requests."""

import os

from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports.types import Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam) -> None:
        path = (request.path_with_query() or "/").split("?")[0]
        print(path)
        if path == "/":
            greeting = os.environ.get("GREETING", "Hello")
            respond(response_out, 200, f"{greeting} from {{name}} on {os.environ.get('HOSTNAME')}\n")
        elif path == "/healthz":
            respond(response_out, 200, "ok\n")
        else:
            respond(response_out, 404, "not found\n")


def respond(response_out: ResponseOutparam, status: int, text: str) -> None:
    response = OutgoingResponse(Fields.from_list([("content-type", b"text/plain; charset=utf-8")]))
    response.set_status_code(status)
    body = response.body()
    ResponseOutparam.set(response_out, Ok(response))
    with body.write() as stream:
        stream.blocking_write_and_flush(text.encode())
    OutgoingBody.finish(body, None)
