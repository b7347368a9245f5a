"""One trace from the trigger to the program of a step, in a collector that the test starts."""

import configurations
import pytest
from collector import collector
from harness import Platform, eventually


@pytest.fixture(scope="module")
def traces():
    with collector() as collected:
        yield collected


@pytest.fixture(scope="module")
def traced_platform(tmp_path_factory, traces):
    found = Platform(tmp_path_factory.mktemp("traced") / "data")
    found.environment |= {
        "OTEL_EXPORTER_OTLP_ENDPOINT": traces.url,
        "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
    }
    started = found.forge("up")
    assert started.code == 0, started.err
    yield found
    assert found.forge("down", "--purge").code == 0


def test_one_trace_from_the_trigger_to_the_program(traced_platform, traces, make_repository):
    repository = make_repository("traced")
    repository.write(
        {
            ".forge/repo.cue": configurations.REPOSITORY,
            ".forge/project.cue": configurations.step("echo context $TRACEPARENT"),
        }
    ).commit()
    done = traced_platform.forge("run", str(repository.folder), "--json")
    assert done.code == 0, done.err
    [program] = eventually(lambda: traces.named("program"), "the program's span arrives")
    trigger = eventually(
        lambda: [span for span in traces.named("POST /v1/runs") if span.trace_id == program.trace_id],
        "the trigger's span arrives",
    )[0]
    eventually(lambda: ("forge-worker", "step") in traces.ancestors(program), "the step's span arrives")
    eventually(lambda: ("forge-worker", "ci job") in traces.ancestors(program), "the job's span arrives")
    eventually(lambda: ("forge-api", "publish ci") in traces.ancestors(program), "the dispatcher's span arrives")
    # Spans between arrive when they end, that of the run after the command has seen its end.
    eventually(lambda: ("forge-api", "POST /v1/runs") in traces.ancestors(program), "all spans between arrive")
    log = traced_platform.forge("logs", done.json()["id"]).out
    assert f"context 00-{trigger.trace_id.hex()}-{program.span_id.hex()}-" in log
    [discovery] = eventually(lambda: traces.named("discovery job"), "the discovery's span arrives")
    assert discovery.trace_id == trigger.trace_id
