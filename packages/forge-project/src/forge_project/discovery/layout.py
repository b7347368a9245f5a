"""Which files of a source make up the repository's configuration and its projects'."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from forge_project.source.tree import CONFIGURATION_FOLDER
from forge_sdk.models.discovery import Diagnostic

REPOSITORY_FILE = f"{CONFIGURATION_FOLDER}/repo.cue"
_PROJECT_NAME = "project.cue"


@dataclass(frozen=True)
class ConfigurationFile:
    """One file that is evaluated: `path` in the repository, `project_path` the folder that it configures (`.` for the root)."""

    path: str
    project_path: str
    package: str
    text: str


@dataclass
class Layout:
    """The configuration files of a source; `repository` is absent where there is no `.forge/repo.cue`."""

    repository: ConfigurationFile | None = None
    projects: list[ConfigurationFile] = field(default_factory=list)
    problems: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)


def read_layout(files: Mapping[str, bytes]) -> Layout:
    """Sorts the files that a `SourceTree` gives."""
    layout = Layout()
    if REPOSITORY_FILE not in files:
        return layout
    for path in sorted(files):
        _place(layout, path, files[path])
    return layout


def _place(layout: Layout, path: str, content: bytes) -> None:
    parts = path.split("/")
    if CONFIGURATION_FOLDER not in parts:
        return
    at = parts.index(CONFIGURATION_FOLDER)
    folder, inside = parts[:at], parts[at + 1 :]
    if CONFIGURATION_FOLDER in inside[:-1]:
        layout.problems.append(_problem(path, f"a {CONFIGURATION_FOLDER} folder inside another", "move it out"))
    elif path == REPOSITORY_FILE:
        layout.repository = _file(layout, path, ".", "repo", content)
    elif inside == [_PROJECT_NAME]:
        project = _file(layout, path, "/".join(folder) or ".", "project", content)
        if project is not None:
            layout.projects.append(project)
    elif len(inside) == 1:
        hint = f"only {REPOSITORY_FILE} at the root and project.cue are"
        layout.warnings.append(_problem(path, "this file is not read", hint))


def _file(layout: Layout, path: str, project_path: str, package: str, content: bytes) -> ConfigurationFile | None:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        place = before.count("\n") + 1, len(before) - before.rfind("\n")
        layout.problems.append(_problem(path, "the file is not UTF-8", "save it as UTF-8", place))
        return None
    return ConfigurationFile(path=path, project_path=project_path, package=package, text=text)


def _problem(path: str, message: str, hint: str, place: tuple[int, int] = (1, 1)) -> Diagnostic:
    line, column = place
    return Diagnostic(message=message, file=path, line=line, column=column, kind="layout", hint=hint)
