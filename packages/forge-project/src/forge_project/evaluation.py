"""Evaluates configuration files in batches, and says in the platform's terms what the evaluator could not do."""

import asyncio
import math
from collections.abc import Sequence

from forge_cue import (
    CueError,
    EvaluationRequest,
    EvaluationResult,
    Evaluator,
    EvaluatorError,
    Instance,
    LimitExceeded,
    Schema,
)
from forge_project.problems import COMPONENT
from forge_sdk.errors import ConfigurationError, ErrorCode, PlatformError, TransientError
from forge_sdk.models.discovery import Diagnostic

BATCH_SIZE = 25
_MEBIBYTE = 1 << 20


async def evaluate(evaluator: Evaluator, instances: Sequence[Instance], schema: Schema) -> list[EvaluationResult]:
    """The results of `instances`, in their order.

    Raises `ConfigurationError` with code `cue_limit_exceeded` that names the file where one needs too much, `PlatformError` with
    code `plugin_invalid` where the schema itself is wrong, `TransientError` where the evaluator fails.
    """
    size = _batch_size(len(instances), evaluator.processes)
    batches = [instances[start : start + size] for start in range(0, len(instances), size)]
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_batch(evaluator, batch, schema)) for batch in batches]
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures.exceptions[0].__cause__
    return [result for task in tasks for result in task.result()]


def _batch_size(count: int, processes: int) -> int:
    """So many that a request's own cost doesn't count, and that every process has about the same to do."""
    rounds = math.ceil(count / (BATCH_SIZE * processes)) or 1
    return max(math.ceil(count / (rounds * processes)), 1)


async def _batch(evaluator: Evaluator, instances: Sequence[Instance], schema: Schema) -> list[EvaluationResult]:
    try:
        response = await evaluator.evaluate(EvaluationRequest(instances=instances, schema=schema))
    except LimitExceeded as error:
        if len(instances) == 1:
            raise _limit_exceeded(instances[0], error) from error
        # The instances share the limit: alone, each shows whether it is the one that needs too much.
        return [result for one in instances for result in await _batch(evaluator, [one], schema)]
    except EvaluatorError as error:
        raise TransientError(f"the configuration could not be evaluated: {error}", component=COMPONENT) from error
    if response.errors:
        raise _schema_error(response.errors)
    return response.results


def _limit_exceeded(instance: Instance, error: LimitExceeded) -> ConfigurationError:
    file = next(iter(instance.files))
    amount = f"{error.value:g} s" if error.limit == "time" else f"{error.value / _MEBIBYTE:g} MiB"
    message = f"evaluation needs more than the {error.limit} limit of {amount}"
    diagnostic = Diagnostic(
        message=message, file=file, line=1, column=1, kind="limit", hint="simplify loops and references"
    )
    return ConfigurationError(
        f"CUE_LIMIT_EXCEEDED: {diagnostic}",
        code=ErrorCode.CUE_LIMIT_EXCEEDED,
        component=COMPONENT,
        context={"limit": error.limit, "value": error.value, "diagnostics": [diagnostic.model_dump(mode="json")]},
    )


def _schema_error(errors: Sequence[CueError]) -> PlatformError:
    texts = "; ".join(str(error) for error in errors[:5])
    return PlatformError(
        f"the schema of an installed plugin is wrong, its file says of which: {texts}; upgrade or uninstall that plugin",
        code=ErrorCode.PLUGIN_INVALID,
        component=COMPONENT,
        context={"errors": [str(error) for error in errors[:50]]},
    )
