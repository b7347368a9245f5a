"""Proposes, checks and writes the configuration of one repository."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from forge_cli.configuration.component import installed_plugins, project_component
from forge_cli.configuration.report import diagnostics_of
from forge_cli.configuration.snapshot import REPOSITORY_FILE, Snapshot
from forge_cli.init.inspection import inspect
from forge_cli.init.proposal import ProjectProposal, project_name, propose_project, without_artifacts
from forge_cli.init.text import module_text, project_text, repository_text
from forge_cli.init.writing import FOLDER, refuse_existing, write_configuration
from forge_cli.repository import current_branch
from forge_project.paths import split
from forge_sdk.errors import ConfigurationError
from forge_sdk.models.discovery import Diagnostic, RepositoryConfiguration
from forge_sdk.models.jobs import GitContext

PROJECT_FILE = "project.cue"
MODULE_FILE = "cue.mod/module.cue"


class RefusedProposalError(Exception):
    """A proposal that does not fit what is there: `problems` of `snapshot`, which is the repository with it."""

    def __init__(self, snapshot: Snapshot, problems: tuple[Diagnostic, ...]) -> None:
        super().__init__("the proposal does not fit")
        self.snapshot = snapshot
        self.problems = problems


@dataclass
class Initialization:
    """The repository as it is, together with the files that were written."""

    snapshot: Snapshot
    written: list[Path] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._plugins = installed_plugins()

    def repository(self, *, single_project: bool) -> None:
        """Writes `.forge/repo.cue`; with `single_project` a tag `v*` releases the project, else `<project>/v*`."""
        root = self.snapshot.root
        refuse_existing(root / REPOSITORY_FILE)
        strategy = "tag-all" if single_project else "monorepo"
        text = repository_text(strategy, publisher_example="pypi" in self._plugins.publishers)
        module = module_text(project_name(root.name))
        self._write(root, {REPOSITORY_FILE: text}, {MODULE_FILE: module, "repo.cue": text})

    def project(self, folder: Path, name: str | None) -> None:
        """Writes the `.forge/project.cue` of `folder`."""
        refuse_existing(folder / FOLDER / PROJECT_FILE)
        findings = inspect(folder)
        found = name or project_name(findings.python.name if findings.python else folder.name)
        configuration = self._configuration()
        branch = current_branch(self.snapshot.root) or "main"
        proposal = propose_project(found, findings, configuration, self._plugins, branch)
        path = (folder / FOLDER / PROJECT_FILE).relative_to(self.snapshot.root).as_posix()
        wrong = self._wrong_artifacts(path, proposal)
        without_artifacts(proposal, wrong)
        if not findings.anything:
            proposal.remarks.append("Nothing was recognised in this folder: add steps and artifacts.")
        text = project_text(proposal)
        self._write(folder, {path: text}, {MODULE_FILE: module_text(found), PROJECT_FILE: text})
        self.remarks += proposal.remarks

    def _configuration(self) -> RepositoryConfiguration:
        found = asyncio.run(self._discovered(self.snapshot.only_repository()))
        if not isinstance(found, RepositoryConfiguration):
            raise RefusedProposalError(self.snapshot, found)
        return found

    def _wrong_artifacts(self, path: str, proposal: ProjectProposal) -> set[str]:
        problems = self._introduced({path: project_text(proposal)})
        parts = [split(problem.path) for problem in problems if problem.path.startswith("artifacts.")]
        return {str(part[1]) for part in parts if len(part) > 1} & proposal.artifacts.keys()

    def _write(self, folder: Path, added: dict[str, str], files: dict[str, str]) -> None:
        problems = self._introduced(added)
        if problems:
            raise RefusedProposalError(self.snapshot.with_files(added), problems)
        self.snapshot = self.snapshot.with_files(added)
        self.written += write_configuration(folder, files)

    def _introduced(self, added: dict[str, str]) -> tuple[Diagnostic, ...]:
        """Problems in the added files, and names that are taken twice because of them; what was wrong before is not theirs."""
        before = asyncio.run(self._discovered(self.snapshot))
        after = asyncio.run(self._discovered(self.snapshot.with_files(added)))
        if isinstance(after, RepositoryConfiguration):
            return ()
        known = before if isinstance(before, tuple) else ()
        new = [problem for problem in after if problem not in known]
        return tuple(problem for problem in new if problem.file in added or problem.kind == "duplicate")

    async def _discovered(self, snapshot: Snapshot) -> RepositoryConfiguration | tuple[Diagnostic, ...]:
        async with project_component(self._plugins) as component:
            try:
                document = await component.discover(snapshot, GitContext())
            except ConfigurationError as error:
                return diagnostics_of(error)
        return document.repository or ()
