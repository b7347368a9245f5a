from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import pytest

from forge_cue import EvaluationRequest, EvaluationResult, Evaluator, Instance, Schema

Evaluate = Callable[..., Awaitable[EvaluationResult]]

PROJECT_SCHEMA = """package v1

#Project: {
	name!:     =~"^[a-z]+$"
	replicas?: int
	tags?: [...string]
	steps?: [string]: #Step
}
#Step: {action: or([for name, _ in #Steps {name}]), #Steps[action]}
#Steps: {
	command: {action: "command", command: [...string]}
	pytest: {action: "pytest", path: string}
}
"""


@pytest.fixture
def schema() -> Schema:
    return Schema(files={"project.cue": PROJECT_SCHEMA})


@pytest.fixture
async def evaluator() -> AsyncIterator[Evaluator]:
    async with Evaluator(processes=1) as running:
        yield running


@pytest.fixture
def evaluate(evaluator: Evaluator) -> Evaluate:
    """Evaluates one package `project`, given as text or as files."""

    async def one(files: str | Mapping[str, str], *, known: Schema | None = None, **options: Any) -> EvaluationResult:
        if isinstance(files, str):
            files = {"project.cue": f"package project\n{files}"}
        instance = Instance(name="one", package="project", files=files, **options)
        response = await evaluator.evaluate(EvaluationRequest([instance], schema=known))
        assert response.errors == []
        return response.results[0]

    return one


@pytest.fixture
def against_schema(evaluate: Evaluate, schema: Schema) -> Evaluate:
    """Evaluates one package against `#Project`."""

    async def one(text: str) -> EvaluationResult:
        return await evaluate(text, known=schema, schema="#Project")

    return one
