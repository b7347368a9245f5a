"""A collector of OpenTelemetry traces (OTLP over HTTP, protobuf) that a test starts."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Collected:
    """The spans that came, each with the service that sent it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.spans: list[tuple[str, Any]] = []

    def add(self, data: bytes) -> None:
        request = ExportTraceServiceRequest()
        request.ParseFromString(data)
        for resource in request.resource_spans:
            names = [value.value.string_value for value in resource.resource.attributes if value.key == "service.name"]
            for scope in resource.scope_spans:
                self.spans.extend((names[0], span) for span in scope.spans)

    def named(self, name: str) -> list[Any]:
        return [span for _, span in list(self.spans) if span.name == name]

    def ancestors(self, span: Any) -> list[tuple[str, str]]:
        """Service and name of each span above, the nearest first."""
        by_id = {found.span_id: (service, found) for service, found in list(self.spans)}
        found = []
        while span.parent_span_id in by_id:
            service, span = by_id[span.parent_span_id]
            found.append((service, span.name))
        return found


@contextmanager
def collector() -> Iterator[Collected]:
    """A collector on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collected.add(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collected = Collected(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield collected
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
