"""Checks that CUE's schema can't make: across files, against the plugins' declarations, and of texts with a grammar of their own."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from forge_project.attributes import ARTIFACT, REPO
from forge_project.discovery.evaluated import Evaluated
from forge_project.discovery.triggers import PatternError, branch_pattern
from forge_project.durations import seconds
from forge_project.paths import Part, path_parts
from forge_project.problems import alternatives
from forge_project.schema import RepositoryNames
from forge_sdk.models.discovery import Diagnostic
from forge_sdk.models.statuses import ArtifactType
from forge_sdk.plugins.manager import Plugins

MAX_TIMEOUT_S = 24 * 3600
_ATTRIBUTES = frozenset({ARTIFACT, REPO})
_FILLED_AT_DISCOVERY = frozenset({("name",), ("ci",), ("artifacts",), ("release",)})


def repository_problems(repository: Evaluated) -> Iterator[Diagnostic]:
    """What is wrong in the repository's configuration, besides what the schema says."""
    for section in ("phases", "publishers"):
        yield from _equal_names(repository, section)
    for phase in repository.names("phases"):
        yield from _timeout(repository, ("phases", phase, "timeout"))
    for attribute in repository.attributes:
        if attribute.name in _ATTRIBUTES:
            message = f"@{attribute.name} has no value in the repository's own configuration"
            yield repository.problem_at(attribute.position, message, kind="attribute", hint="write the value itself")


def project_problems(project: Evaluated, required: Iterable[str]) -> Iterator[Diagnostic]:
    """What is wrong in one project, besides what the schema says; `required` are the phases that it must have."""
    yield from _equal_names(project, "artifacts")
    for phase in project.names("ci", "phases"):
        yield from _equal_names(project, "ci", "phases", phase)
        for step in project.names("ci", "phases", phase):
            yield from _timeout(project, ("ci", "phases", phase, step, "timeout"))
    yield from _missing_phases(project, required)
    yield from _triggers(project)
    yield from _early_artifact_attributes(project)


def plugin_problems(project: Evaluated, names: RepositoryNames, plugins: Plugins) -> Iterator[Diagnostic]:
    """Artifacts that their producer can't build or a publisher can't publish."""
    for name in project.names("artifacts"):
        path = ("artifacts", name)
        kind = project.at(*path, "type")
        producers = project.names(*path, "producer")
        if isinstance(project.at(*path, "producer"), dict) and len(producers) != 1:
            message = f"exactly one producer is needed, found {', '.join(producers) or 'none'}"
            yield project.problem((*path, "producer"), message, kind="producer", hint=_installed(plugins.producers))
        if not isinstance(kind, str) or kind not in set(ArtifactType):
            continue
        for producer in producers:
            builder = plugins.producers.get(producer)
            accepted: Collection[str] = builder.artifact_types if builder is not None else {kind}
            yield from _unaccepted(project, (*path, "producer", producer), kind, accepted)
        for publisher in project.names(*path, "publishers"):
            plugin = plugins.publishers.get(names.publishers.get(publisher, ""))
            accepted = plugin.artifact_types if plugin is not None else {kind}
            yield from _unaccepted(project, (*path, "publishers", publisher), kind, accepted)


def duplicate_projects(projects: Sequence[Evaluated]) -> Iterator[Diagnostic]:
    """Projects whose names are equal, or differ in upper and lower case only."""
    known: dict[str, Evaluated] = {}
    for project in projects:
        name = project.at("name")
        if not isinstance(name, str):
            continue
        first = known.setdefault(name.lower(), project)
        if first is not project:
            place = first.position("name")
            message = f"the project name {name!r} is taken by {first.file.path}:{place.line}"
            hint = "rename one of the two"
            if first.at("name") != name:
                message += f" ({first.at('name')!r})"
                hint = "names must differ in more than upper and lower case"
            yield project.problem(("name",), message, kind="duplicate", hint=hint)


def _equal_names(evaluated: Evaluated, *path: Part) -> Iterator[Diagnostic]:
    known: dict[str, str] = {}
    for name in evaluated.names(*path):
        first = known.setdefault(name.lower(), name)
        if first != name:
            message = f"{name!r} and {first!r} differ in upper and lower case only"
            yield evaluated.problem((*path, name), message, kind="duplicate", hint="rename one of the two")


def _timeout(evaluated: Evaluated, path: tuple[Part, ...]) -> Iterator[Diagnostic]:
    text = evaluated.at(*path)
    try:
        length = seconds(text) if isinstance(text, str) else None
    except ValueError:
        return  # the schema reports it
    if length is not None and not 0 < length <= MAX_TIMEOUT_S:
        yield evaluated.problem(path, f"{text} is not between 1s and 24h", kind="value", hint="write another duration")


def _missing_phases(project: Evaluated, required: Iterable[str]) -> Iterator[Diagnostic]:
    if not project.value:
        return  # its steps are unknown until the reported conflicts are gone
    for phase in required:
        if not project.names("ci", "phases", phase):
            message = f"the required phase {phase!r} has no steps"
            yield project.problem(("ci", "phases"), message, kind="required_phase", hint="add a step to it")


def _triggers(project: Evaluated) -> Iterator[Diagnostic]:
    triggers = project.at("release", "on")
    for index, trigger in enumerate(triggers if isinstance(triggers, list) else ()):
        path = ("release", "on", index)
        if not isinstance(trigger, dict):
            continue
        if len({"branch", "tag"} & set(trigger)) != 1 and not project.has_error_below(*path):
            hint = 'write {branch: "^main$"} or {tag: true}'
            yield project.problem(path, "a trigger has either a branch or a tag", kind="trigger", hint=hint)
        branch = trigger.get("branch")
        try:
            branch_pattern(branch if isinstance(branch, str) else "")
        except PatternError as error:
            yield project.problem(
                (*path, "branch"), f"{branch!r} is {error}", kind="trigger", hint=_pattern_hint(error)
            )


def _pattern_hint(error: PatternError) -> str:
    if "perl operator" in str(error) or "escape sequence" in str(error):
        return "RE2 has no look-around and no back references"
    return "any text is written .*" if "repetition" in str(error) else ""


def _early_artifact_attributes(project: Evaluated) -> Iterator[Diagnostic]:
    for attribute in project.attributes:
        if attribute.name != ARTIFACT:
            continue
        for path in attribute.paths:
            if path_parts(path)[:1] in _FILLED_AT_DISCOVERY:
                message = f"{path}: @artifact has no value before the artifact is built"
                hint = "use it below deployment only"
                yield project.problem_at(attribute.position, message, kind="attribute", hint=hint, path=path)


def _unaccepted(project: Evaluated, path: tuple[Part, ...], kind: str, accepted: Iterable[str]) -> Iterator[Diagnostic]:
    names = sorted(str(one) for one in accepted)
    if kind not in names:
        message = f"{path[-1]!r} does not take artifacts of type {kind!r}"
        yield project.problem(path, message, kind="artifact_type", hint=f"it takes: {', '.join(names)}")


def _installed(names: Iterable[str]) -> str:
    return alternatives("", names, "installed")
