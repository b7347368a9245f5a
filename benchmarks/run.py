#!/usr/bin/env python3
"""Runs benchmarks by name (`run.py T2 T3`, all without a name), merges their rows into results/latest.json and writes docs/benchmarks.md."""

import argparse
import importlib
import json
import os
import platform
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import uvloop

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "latest.json"
PAGE = HERE.parent / "docs" / "benchmarks.md"

INTRODUCTION = """\
Made by `hatch run bench` from `benchmarks/results/latest.json`. A floor is the least that the job needs with the named
means; it is measured in turn with our own figure in the same run, and the ratios are what counts."""

sys.path.insert(0, str(HERE))

from measure import Row, SkippedError  # noqa: E402 - the folder is no package


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="T2, T3, ...: all where none is given")
    parser.add_argument("--page", action="store_true", help="only write docs/benchmarks.md from the results")
    arguments = parser.parse_args()
    known = benchmarks()
    unknown = sorted(set(arguments.names) - known.keys())
    if unknown:
        parser.error(f"no benchmark named {', '.join(unknown)}; there are {', '.join(known)}")
    results = read_results()
    for name in [] if arguments.page else arguments.names or list(known):
        merge(results, name, measured(name, known[name]))
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", "utf-8")
    PAGE.write_text(page(results), "utf-8")
    return 0


def benchmarks() -> dict[str, str]:
    """The benchmarks' modules (`t2_discovery.py`) by name (`T2`)."""
    found = {path.stem.partition("_")[0].upper(): path.stem for path in HERE.glob("t[0-9]*_*.py")}
    return dict(sorted(found.items(), key=lambda entry: int(re.sub(r"\D", "", entry[0]))))


def measured(name: str, module: str) -> list[Row]:
    print(f"{name} ...", flush=True)
    try:
        rows: list[Row] = uvloop.run(importlib.import_module(module).rows())
    except SkippedError as reason:
        print(f"  skipped: {reason}")
        return []
    for row in rows:
        print(
            f"  {row.id}: {row.what}: {row.measured} {row.unit}, floor {row.floor}, ratio {row.ratio}, target {row.target}"
        )
    return rows


def read_results() -> dict[str, Any]:
    results: dict[str, Any] = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {"rows": []}
    return {"machine": machine(), "rows": results["rows"]}


def merge(results: dict[str, Any], name: str, rows: list[Row]) -> None:
    """Puts the rows of one benchmark in the place of its older ones; a benchmark that was skipped keeps what it had."""
    if not rows:
        return
    kept = [row for row in results["rows"] if row["id"].partition(".")[0] != name]
    added = [{key: rounded(value) for key, value in asdict(row).items()} for row in rows]
    results["rows"] = sorted([*kept, *added], key=lambda row: [int(part) for part in re.findall(r"\d+", row["id"])])


def rounded(value: object) -> object:
    return float(f"{value:.3g}") if isinstance(value, float) else value


def machine() -> dict[str, object]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def page(results: dict[str, Any]) -> str:
    host = results["machine"]
    lines = [
        "# Benchmarks",
        "",
        INTRODUCTION,
        "",
        f"Machine: {host['cores']} cores, {host['memory_gib']} GiB, {host['system']}, Python {host['python']}.",
        "",
        "| id | what | floor | measured | ratio | target | met |",
        "| --- | --- | ---: | ---: | ---: | --- | --- |",
    ]
    lines += [line(row) for row in results["rows"]]
    return "\n".join(lines) + "\n"


def line(row: dict[str, Any]) -> str:
    met = {True: "yes", False: "no", None: "-"}[row["met"]]
    cells = [
        row["id"],
        row["what"],
        amount(row, "floor"),
        amount(row, "measured"),
        shown(row["ratio"]),
        row["target"],
        met,
    ]
    return f"| {' | '.join(cells)} |"


def amount(row: dict[str, Any], key: str) -> str:
    return "-" if row[key] is None else f"{shown(row[key])} {row['unit']}"


def shown(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


if __name__ == "__main__":
    sys.exit(main())
