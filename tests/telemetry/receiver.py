"""Receives traces as OpenTelemetry's own messages read them, and tells on GET what it has received.

Prints its address. What cannot be read, or holds a field that nobody knows, is answered with 400 and told, too.
"""

import base64
import gzip
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from google.protobuf import json_format
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

received = {"spans": [], "headers": [], "paths": [], "wrong": []}
lock = threading.Lock()


def check_known(message):
    """Every field is one that the messages have."""
    if len(UnknownFieldSet(message)) > 0:
        raise ValueError(f"unknown fields in {message.DESCRIPTOR.full_name}")
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for inner in [value] if hasattr(value, "DESCRIPTOR") else value:
            check_known(inner)


def read(content_type, body):
    if content_type == "application/x-protobuf":
        request = ExportTraceServiceRequest.FromString(body)
    elif content_type == "application/json":
        written = json.loads(body)
        # OTLP's JSON has ids in hexadecimal, where protobuf's own has base64.
        for resource in written["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    for name in ("traceId", "spanId", "parentSpanId"):
                        if name in span:
                            span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
        request = json_format.ParseDict(written, ExportTraceServiceRequest())
    else:
        raise ValueError(f"content type {content_type}")
    check_known(request)
    return request


def plain(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return getattr(value, kind)


def attributes(pairs):
    return {pair.key: plain(pair.value) for pair in pairs}


def spans(request):
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                if len(span.trace_id) != 16 or len(span.span_id) != 8 or len(span.parent_span_id) not in (0, 8):
                    raise ValueError("an id of the wrong length")
                yield {
                    "resource": attributes(resource.resource.attributes),
                    "scope": scope.scope.name,
                    "trace": span.trace_id.hex(),
                    "id": span.span_id.hex(),
                    "parent": span.parent_span_id.hex(),
                    "state": span.trace_state,
                    "name": span.name,
                    "kind": Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    "began": span.start_time_unix_nano,
                    "ended": span.end_time_unix_nano,
                    "status": Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
                    "attributes": attributes(span.attributes),
                }


class Receiver(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["content-encoding"] == "gzip":
            body = gzip.decompress(body)
        status, answer = 200, ExportTraceServiceResponse().SerializeToString()
        with lock:
            received["headers"].append({name.lower(): value for name, value in self.headers.items()})
            received["paths"].append(self.path)
            try:
                received["spans"].extend(spans(read(self.headers["content-type"], body)))
            except Exception as error:
                received["wrong"].append(repr(error))
                status, answer = 400, repr(error).encode()
        self.answer(status, answer)

    def do_GET(self):
        with lock:
            self.answer(200, json.dumps(received).encode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
# Ends with whoever started it.
threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
server.serve_forever()
