"""T3: evaluation of 100 and 1,000 project configurations, against one Go process on one core, and against a process each."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cue_floor import FILLS, cue_command, filled, floor_ms, schema_files
from measure import Row, SkippedError, alternating, timed
from repositories import configuration

from forge_cue import EvaluationRequest, Evaluator, Fill, Instance, Schema
from forge_project.evaluation import evaluate

TARGET = 0.8
TIMES_A_PROCESS = 5.0
TIMES_THE_COMMAND = 10.0
SAMPLE = 100


async def rows() -> list[Row]:
    schema = Schema(files=schema_files())
    found = [await _against_one_process(number, count, schema) for number, count in ((1, 100), (2, 1000))]
    return [*found, *(await _against_processes(schema))]


async def _against_one_process(number: int, count: int, schema: Schema) -> Row:
    texts = project_texts(count)
    instances = project_instances(texts)
    async with Evaluator() as evaluator:

        async def ours() -> float:
            return await timed(lambda: evaluate(evaluator, instances, schema))

        floor, measured = await alternating(lambda: floor_ms(texts), ours)
    ratio = measured / floor
    what = f"evaluation of {count} projects, against one Go process on one core"
    return Row(f"T3.{number}", what, "ms", floor, measured, ratio, f"<= {TARGET}", ratio <= TARGET)


async def _against_processes(schema: Schema) -> list[Row]:
    texts = project_texts(SAMPLE)
    instances = project_instances(texts)
    with tempfile.TemporaryDirectory() as folder:
        schemas = _write_schema(Path(folder), schema)
        paths = []
        for number, text in enumerate(texts):
            paths.append(Path(folder) / f"{number}.cue")
            paths[-1].write_text(filled(text).replace("_name:", "#Project\n_name:", 1))

        async def exported() -> None:
            for path in paths:
                process = await asyncio.create_subprocess_exec(
                    cue_command(), "export", path, *schemas, stdout=asyncio.subprocess.DEVNULL
                )
                if await process.wait() != 0:
                    raise SkippedError("cue export failed")

        async def started() -> None:
            for one in instances:
                async with Evaluator(processes=1) as evaluator:
                    await evaluator.evaluate(EvaluationRequest([one], schema=schema))

        async with Evaluator() as evaluator:
            each, command, measured = await alternating(
                lambda: timed(started),
                lambda: timed(exported),
                lambda: timed(lambda: evaluate(evaluator, instances, schema)),
            )
    return [
        _times("T3.3", "a process of ours for each", each, measured, TIMES_A_PROCESS),
        _times("T3.4", "`cue export` for each", command, measured, TIMES_THE_COMMAND),
    ]


def _write_schema(folder: Path, schema: Schema) -> list[Path]:
    written = []
    for number, text in enumerate(schema.files.values()):
        written.append(folder / f"schema{number}.cue")
        written[-1].write_text(text.replace(f"package {schema.package}\n", "package project\n", 1))
    return written


def _times(name: str, what: str, others: float, measured: float, target: float) -> Row:
    ratio = others / measured
    what = f"evaluation of {SAMPLE} projects, against {what}; the ratio says how many times faster"
    return Row(name, what, "ms", others, measured, ratio, f">= {target:g}", ratio >= target)


def project_texts(count: int) -> Sequence[str]:
    return [text for path, text in configuration(count).items() if path.endswith("/project.cue")]


def project_instances(texts: Sequence[str]) -> list[Instance]:
    fills = []
    for written, value in FILLS.items():
        name, _, arguments = written.removeprefix("@").partition("(")
        fills.append(Fill(name, arguments.removesuffix(")"), value))
    return [
        Instance(f"p{number}", "project", {f"p{number}/.forge/project.cue": text}, "#Project", True, fills)
        for number, text in enumerate(texts)
    ]
