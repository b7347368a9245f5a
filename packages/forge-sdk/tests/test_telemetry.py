import asyncio
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from forge_sdk import telemetry
from forge_sdk.errors import ErrorCode, PlatformError

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def spans(monkeypatch):
    """What a collector gets, by span name, after `telemetry.shutdown()`."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    found = {}

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            request = ExportTraceServiceRequest()
            request.ParseFromString(self.rfile.read(int(self.headers["Content-Length"])))
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    found.update({span.name: span for span in scope.spans})
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    yield found
    telemetry.shutdown()
    server.shutdown()
    server.server_close()
    thread.join()


def test_without_a_collector_nothing_is_made_but_the_context_travels(monkeypatch):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    assert not telemetry.configure("test")
    assert telemetry.traceparent() is None
    with telemetry.span("outer", parent=PARENT), telemetry.span("inner"):
        assert telemetry.traceparent() == PARENT
        assert telemetry.environment() == {"TRACEPARENT": PARENT}
    assert telemetry.environment() == {}


def test_spans_are_children_of_the_given_parent(spans):
    assert telemetry.configure("test")
    with telemetry.span("outer", kind="consumer", parent=PARENT, attributes={"job": "x"}):
        with telemetry.span("inner"):
            inner = telemetry.traceparent()
        outer = telemetry.traceparent()
    telemetry.shutdown()
    assert spans["outer"].trace_id.hex() == PARENT.split("-")[1]
    assert spans["outer"].parent_span_id.hex() == PARENT.split("-")[2]
    assert spans["inner"].parent_span_id == spans["outer"].span_id
    assert [spans["inner"].span_id.hex(), spans["outer"].span_id.hex()] == [
        inner.split("-")[2],
        outer.split("-")[2],
    ]
    assert {found.key: found.value.string_value for found in spans["outer"].attributes} == {"forge.job": "x"}


def test_an_error_leaves_its_code_and_no_text(spans):
    telemetry.configure("test")
    with pytest.raises(PlatformError), telemetry.span("failing"):
        raise PlatformError("hunter2", code=ErrorCode.BUILD_FAILED)
    telemetry.shutdown()
    assert spans["failing"].status.message == "build_failed"
    assert b"hunter2" not in spans["failing"].SerializeToString()


def test_a_result_may_fail_the_span(spans):
    telemetry.configure("test")
    with telemetry.span("job"):
        telemetry.failed("step_failed")
    telemetry.shutdown()
    assert spans["job"].status.message == "step_failed"


async def test_tasks_continue_the_span_that_they_were_made_in(spans):
    telemetry.configure("test")

    async def work():
        with telemetry.span("task"):
            await asyncio.sleep(0)

    with telemetry.span("outer"):
        task = asyncio.create_task(work())
    await task
    await asyncio.to_thread(telemetry.shutdown)
    assert spans["task"].parent_span_id == spans["outer"].span_id


def test_importing_telemetry_imports_no_opentelemetry():
    code = "import sys, forge_sdk.telemetry; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
