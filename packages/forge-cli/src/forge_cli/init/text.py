"""Proposals as CUE."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from forge_cli.init.proposal import LINT, TEST, ProjectProposal
from forge_project import PLATFORM_VERSION
from forge_project.schema import IMPORT_PATH

CUE_VERSION = "v0.13.0"
PHASES = {LINT: (1, "Style and mistakes"), TEST: (2, "Tests")}
WIDTH = 100
_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PUBLISHER_EXAMPLE = """
// Where packages are published to; the token stands in the secret that is named here.
// publishers: index: {
// 	type:      "pypi"
// 	index_url: "https://packages.example.com/simple/"
// 	credentials: {provider: "local", key: "publishers/pypi/token"}
// }
"""


def module_text(name: str) -> str:
    """The `cue.mod/module.cue` of a `.forge` folder."""
    return f'module: "forge.local/{name.lower()}@v0"\nlanguage: version: "{CUE_VERSION}"\n'


def repository_text(strategy: str, *, publisher_example: bool) -> str:
    """A `.forge/repo.cue`."""
    phases = "".join(f'\t{name}: {{group: {group}, description: "{text}"}}\n' for name, (group, text) in PHASES.items())
    example = _PUBLISHER_EXAMPLE if publisher_example else ""
    return (
        f"// Checked by `forge validate`; `forge schema` prints the schema ({IMPORT_PATH}).\npackage repo\n\n"
        f'forgeVersion: "{PLATFORM_VERSION}"\ntagging: strategy: "{strategy}"\n\n'
        f"// Lower groups run first, the phases of one group in parallel.\nphases: {{\n{phases}}}\n{example}"
    )


def project_text(proposal: ProjectProposal) -> str:
    """A `.forge/project.cue`."""
    sections = ["\n".join([*(f"// {remark}" for remark in proposal.remarks), "package project"])]
    sections.append(f"name: {_literal(proposal.name)}")
    if proposal.steps:
        sections.append(_field("ci", {"phases": proposal.steps}))
    if proposal.artifacts:
        sections.append(_field("artifacts", proposal.artifacts))
        sections.append(_field("release", {"on": [{"branch": re.escape(proposal.branch)}, {"tag": True}]}))
    return "\n\n".join(sections) + "\n"


def _field(name: str, value: Any) -> str:
    return "\n".join(_lines(name, value, ""))


def _lines(name: str, value: Any, indent: str) -> Iterator[str]:
    short = f"{indent}{_label(name)}: {_literal(value)}"
    if not isinstance(value, Mapping) or not value or (_is_flat(value) and len(short) <= WIDTH):
        yield short
        return
    if len(value) == 1:
        # As people write it: `ci: phases: test: ...`.
        ((inner, deeper),) = value.items()
        first, *rest = _lines(inner, deeper, indent)
        yield f"{indent}{_label(name)}: {first.lstrip()}"
        yield from rest
        return
    yield f"{indent}{_label(name)}: {{"
    for inner, deeper in value.items():
        yield from _lines(inner, deeper, f"{indent}\t")
    yield f"{indent}}}"


def _is_flat(value: Mapping[str, Any]) -> bool:
    return all(not isinstance(one, Mapping) or not one for one in value.values()) and len(value) > 1


def _literal(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_label(name)}: {_literal(one)}" for name, one in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_literal(one) for one in value) + "]"
    # A JSON text is a CUE literal.
    return json.dumps(value, ensure_ascii=False)


def _label(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else json.dumps(name, ensure_ascii=False)
