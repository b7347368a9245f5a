"""Phases and artifacts for what was found, with the plugins that are installed and the phases that the repository defines."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from forge_cli.init.inspection import Findings, GoModule, PythonPackage
from forge_sdk.models.discovery import RepositoryConfiguration
from forge_sdk.models.statuses import ArtifactType
from forge_sdk.plugins.manager import Plugins

ACTION = "command"
LINT, TEST = "lint", "test"
_PLACE = "dist"


@dataclass
class ProjectProposal:
    """The content of a project's configuration, and remarks on what could not be proposed."""

    name: str
    steps: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    branch: str = "main"


def propose_project(
    name: str, findings: Findings, repository: RepositoryConfiguration, plugins: Plugins, branch: str
) -> ProjectProposal:
    """The configuration of a project in which `findings` were made."""
    proposal = ProjectProposal(name, branch=branch)
    _add_steps(proposal, findings, repository, plugins)
    maker = _Artifacts(proposal, repository, plugins)
    if findings.python is not None:
        maker.python(findings.python)
    if findings.go is not None:
        maker.go(findings.go)
    if findings.mkdocs or findings.site is not None:
        maker.site(findings)
    if findings.container_file is not None:
        maker.container(findings.container_file)
    return proposal


def _add_steps(
    proposal: ProjectProposal, findings: Findings, repository: RepositoryConfiguration, plugins: Plugins
) -> None:
    if ACTION not in plugins.step_actions:
        proposal.remarks.append(f"No steps are proposed: the action {ACTION!r} is not installed.")
        return
    defined = [phase.name for phase in repository.phases]
    for phase, step, arguments in _steps(findings):
        if phase in defined:
            proposal.steps.setdefault(phase, {})[step] = {"action": ACTION, "command": arguments}
    for name in (one.name for one in repository.phases if one.required):
        if name not in proposal.steps:
            proposal.remarks.append(f"The phase {name!r} is required: replace its step by one that checks something.")
            proposal.steps[name] = {"nothing": {"action": ACTION, "command": ["true"]}}


def _steps(findings: Findings) -> Iterator[tuple[str, str, list[str]]]:
    if findings.python is not None:
        yield LINT, "ruff", ["uvx", "ruff", "check", "."]
        options = findings.python.pytest_options
        if options is not None:
            yield TEST, "pytest", ["uv", "run", "--quiet", *options, "pytest", "-q"]
    if findings.go is not None:
        yield LINT, "vet", ["go", "vet", "./..."]
        yield TEST, "go", ["go", "test", "./..."]
    if findings.python_tests is not None:
        yield TEST, "unittest", ["python3", "-m", "unittest", "discover", "-s", findings.python_tests]


class _Artifacts:
    """Adds artifacts to a proposal."""

    def __init__(self, proposal: ProjectProposal, repository: RepositoryConfiguration, plugins: Plugins) -> None:
        self._proposal = proposal
        self._repository = repository
        self._plugins = plugins

    def python(self, package: PythonPackage) -> None:
        if not package.buildable:
            return
        producer = {"python": {"wheel": True, "sdist": True}}
        self._add("wheel", ArtifactType.ARCHIVE, producer, "the Python package", publisher_type="pypi")

    def go(self, module: GoModule) -> None:
        if module.main is None:
            return
        path = f"{_PLACE}/{module.name}"
        producer = {
            "command": {
                "command": ["go", "build", "-trimpath", "-o", path, module.main],
                "environment": {"CGO_ENABLED": "0"},
                "outputs": [{"path": path, "static": True}],
            }
        }
        self._add("binary", ArtifactType.BINARY, producer, "the Go program")

    def site(self, findings: Findings) -> None:
        path = f"{_PLACE}/site.tar.gz"
        if findings.mkdocs:
            script = f"uvx mkdocs build --quiet --site-dir {_PLACE}/site && tar -czf {path} -C {_PLACE}/site ."
        else:
            script = (
                f"mkdir -p {_PLACE} && tar -czf {path} --exclude=./{_PLACE} --exclude=./.forge -C {findings.site} ."
            )
        producer = {"command": {"command": ["sh", "-c", script], "outputs": [{"path": path}]}}
        self._add("site", ArtifactType.ARCHIVE, producer, "the site")

    def container(self, file: str) -> None:
        able = [
            name
            for name, one in sorted(self._plugins.producers.items())
            if ArtifactType.CONTAINER in one.artifact_types
        ]
        if not able:
            self._remark(f"{file} is not built: no producer for containers is installed.")
            return
        self._add("image", ArtifactType.CONTAINER, {able[0]: {}}, file)

    def _add(
        self,
        name: str,
        kind: ArtifactType,
        producer: Mapping[str, Mapping[str, Any]],
        subject: str,
        *,
        publisher_type: str | None = None,
    ) -> None:
        (needed,) = producer
        if needed not in self._plugins.producers:
            self._remark(f"No artifact is proposed for {subject}: the producer {needed!r} is not installed.")
            return
        publishers = [one.name for one in self._repository.publishers if one.type == publisher_type]
        if publisher_type is not None and not publishers:
            self._remark(
                f"The artifact {name!r} has no publisher: .forge/repo.cue defines none of type {publisher_type!r}."
            )
        self._proposal.artifacts[name] = {
            "type": kind.value,
            "producer": producer,
            "publishers": {publisher: {} for publisher in publishers},
        }

    def _remark(self, text: str) -> None:
        self._proposal.remarks.append(text)


def project_name(text: str) -> str:
    """`text` as the name of a project: what can't be in one becomes a hyphen."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")[:63].rstrip("-") or "project"


def without_artifacts(proposal: ProjectProposal, wrong: Collection[str]) -> None:
    """Drops the artifacts that turned out to be invalid, with a remark on each."""
    for name in sorted(wrong):
        producer = next(iter(proposal.artifacts.pop(name)["producer"]))
        proposal.remarks.append(
            f"No artifact {name!r} is proposed: producer {producer!r} needs fields that only you know."
        )
