"""Evaluates the files of a layout, a second time only where values for its attributes are known after the first."""

from collections.abc import Callable, Mapping, Sequence

from pydantic import JsonValue

from forge_cue import CueError, EvaluationResult, Evaluator, Fill, Instance, Schema
from forge_project.attributes import ARTIFACT, REPO
from forge_project.attributes.repository import predicted_fills, repository_filling
from forge_project.discovery.evaluated import Evaluated
from forge_project.discovery.layout import ConfigurationFile
from forge_project.evaluation import evaluate
from forge_project.paths import path_parts
from forge_project.schema import IMPORT_PATH, PACKAGE, RepositoryNames, compose
from forge_sdk.models.discovery import Diagnostic
from forge_sdk.plugins.manager import Plugins

_DEFINITIONS = {"repo": "#Repository", "project": "#Project"}
_SECTIONS_KNOWN_NOW = frozenset({("name",), ("ci",), ("artifacts",), ("release",)})
Fills = Mapping[str, Sequence[Fill]]


class ConfigurationReader:
    """Reads the configuration of a repository against the schema of the installed plugins."""

    def __init__(self, plugins: Plugins, evaluator: Evaluator) -> None:
        self._plugins = plugins
        self._evaluator = evaluator

    async def repository(self, file: ConfigurationFile) -> Evaluated:
        """The evaluated `.forge/repo.cue`."""
        run = _Run(self._evaluator, self._schema(None), {}, artifacts_open=False)
        (found,) = await run.evaluated([file])
        return found

    async def projects(
        self,
        files: Sequence[ConfigurationFile],
        repository: Mapping[str, JsonValue] | None,
        names: RepositoryNames | None,
    ) -> tuple[list[Evaluated], list[Diagnostic]]:
        """The evaluated projects, and the problems of their `@repo` attributes.

        `repository` is the configuration that `@repo` takes values from; where it is absent these attributes stay open.
        """
        schema = self._schema(names)
        predicted = {file.path: predicted_fills(file.text, repository) for file in files}
        run = _Run(self._evaluator, schema, {path: list(fills.values()) for path, fills in predicted.items()})
        found = await run.evaluated(files)
        fillings = {one.file.path: repository_filling(one.attributes, repository) for one in found}
        missed = [one.file for one in found if _paths(one) - predicted[one.file.path].keys()]
        run = _Run(self._evaluator, schema, {path: filling.fills for path, filling in fillings.items()})
        again = {one.file.path: one for one in await run.evaluated(missed)}
        found = [again.get(one.file.path, one) for one in found]
        for one in found:
            if fillings[one.file.path].unfilled:
                one.errors = [error for error in one.errors if error.kind != "incomplete"]
        problems = [problem for filling in fillings.values() for problem in filling.problems]
        return found, problems

    async def rendered(
        self, file: ConfigurationFile, names: RepositoryNames, fills: Callable[[Evaluated], Sequence[Fill]]
    ) -> Evaluated:
        """The evaluated project with all its attributes filled; every value must be concrete."""
        schema = self._schema(names)
        (open_,) = await _Run(self._evaluator, schema, {}).evaluated([file])
        run = _Run(self._evaluator, schema, {file.path: fills(open_)}, artifacts_open=False)
        (found,) = await run.evaluated([file])
        return found

    def _schema(self, names: RepositoryNames | None) -> Schema:
        return Schema(files=compose(self._plugins, names), package=PACKAGE, import_path=IMPORT_PATH)


class _Run:
    """Evaluations with one schema and the same fills."""

    def __init__(self, evaluator: Evaluator, schema: Schema, fills: Fills, *, artifacts_open: bool = True) -> None:
        self._evaluator = evaluator
        self._schema = schema
        self._fills = fills
        self._artifacts_open = artifacts_open

    async def evaluated(self, files: Sequence[ConfigurationFile]) -> list[Evaluated]:
        results = await self._evaluate(files)
        return [self._checked(file, result) for file, result in zip(files, results, strict=True)]

    async def _evaluate(self, files: Sequence[ConfigurationFile]) -> list[EvaluationResult]:
        instances = [
            Instance(
                name=file.path,
                package=file.package,
                files={file.path: file.text},
                schema=_DEFINITIONS[file.package],
                require_concrete=True,
                fills=self._fills.get(file.path, ()),
            )
            for file in files
        ]
        return await evaluate(self._evaluator, instances, self._schema)

    def _checked(self, file: ConfigurationFile, result: EvaluationResult) -> Evaluated:
        may_be_open = self._artifacts_open and any(one.name == ARTIFACT for one in result.attributes)
        return Evaluated(
            file=file,
            value=_struct(result.partial if result.value is None else result.value),
            errors=[error for error in result.errors if not (may_be_open and _is_filled_later(error))],
            attributes=result.attributes,
            positions=result.positions,
        )


def _paths(evaluated: Evaluated) -> set[str]:
    return {one.named.get("path", "") for one in evaluated.attributes if one.name == REPO}


def _is_filled_later(error: CueError) -> bool:
    """Whether an error says only that an artifact's output is not known yet."""
    if error.kind != "incomplete":
        return False
    return path_parts(error.path)[:1] not in _SECTIONS_KNOWN_NOW


def _struct(value: object) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}
