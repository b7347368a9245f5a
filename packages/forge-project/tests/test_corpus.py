"""Runs every case of the folder `corpus`; `--update` writes what was found into the cases instead of comparing."""

from pathlib import Path

import pytest
import yaml

from forge_sdk.errors import ConfigurationError
from forge_sdk.models.discovery import Diagnostic
from forge_sdk.models.jobs import GitContext

CORPUS = Path(__file__).parent / "corpus"
CASES = sorted(CORPUS.glob("*/*.txt"))
OUTCOMES = ("report", "document", "manifests")
ARTIFACTS = {
    "web": {
        "uri": "registry.example/shop@sha256:" + "a" * 64,
        "digest": "sha256:" + "a" * 64,
        "publishers": {"images": {"uri": "registry.example/shop:latest", "registry": "registry.example"}},
    }
}


def source_files(parts, settings):
    """The files of the repository, with the shared repository configuration where a case has none of its own."""
    files = {} if settings.get("repository") == "none" else {".forge/repo.cue": (CORPUS / "repo.cue").read_text()}
    files |= {name: text for name, text in parts.items() if name not in OUTCOMES and name != "settings"}
    if settings.get("line_ends") == "windows":
        files = {name: text.replace("\n", "\r\n") for name, text in files.items()}
    return {name: text.encode(settings.get("encoding", "utf-8")) for name, text in files.items()}


async def outcome(component, tree, parts, settings):
    """The kind of what came out, and its text: problems, the discovery document, or manifests.

    What follows from the shared repository configuration is left out of a document.
    """
    files = source_files(parts, settings)
    context = GitContext(**settings.get("git", {}))
    try:
        if "render" in settings:
            found = await component.render(tree(files), settings["render"], settings.get("artifacts", ARTIFACTS))
            return "manifests", "".join(f"# {name}\n{text.decode()}" for name, text in found.items())
        document = await component.discover(tree(files), context)
    except ConfigurationError as error:
        return "report", "".join(f"{Diagnostic.model_validate(one)}\n" for one in error.context["diagnostics"])
    shared = {"repository", "phase_groups"} if ".forge/repo.cue" not in parts else set()
    values = document.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=shared)
    return "document", yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110)


def write_outcome(case, parts, kind, text):
    before = case.read_text("utf-8")
    for name in OUTCOMES:
        if name in parts:
            before = before[: before.index(f"-- {name} --\n")]
    case.write_text(f"{before}-- {kind} --\n{text}", "utf-8")


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.stem}")
async def test_case(component, tree, case, read_case, request):
    description, parts = read_case(case)
    settings = yaml.safe_load(parts.get("settings", "{}"))
    kind, text = await outcome(component, tree, parts, settings)
    if request.config.getoption("update"):
        write_outcome(case, parts, kind, text)
        return
    expected = [name for name in OUTCOMES if name in parts]
    assert description.strip()
    assert expected == [kind]
    assert text == parts[kind]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}/{case.stem}")
def test_report_stays_within_the_files_of_the_user(case, read_case):
    _, parts = read_case(case)
    settings = yaml.safe_load(parts.get("settings", "{}"))
    texts = {name: text.decode(errors="replace") for name, text in source_files(parts, settings).items()}
    for line in parts.get("report", "").splitlines():
        file, row, column, _ = line.split(":", 3)
        assert file in texts
        lines = texts[file].split("\n")
        assert 1 <= int(row) <= max(len(lines), 1)
        assert 1 <= int(column) <= len(lines[int(row) - 1]) + 1


def test_the_corpus_is_large_enough(read_case):
    reports = [case for case in CASES if "report" in read_case(case)[1]]
    assert len(CASES) >= 120
    assert len(CASES) - len(reports) >= 20
