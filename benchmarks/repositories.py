"""A repository to measure with: many files, of which some are projects with a configuration of ordinary size."""

import subprocess
from pathlib import Path

REPOSITORY = """package repo

forgeVersion: "v0.1.0"
tagging: strategy: "monorepo"
phases: {
	lint: {group: 1, description: "Style and mistakes", timeout: "5m"}
	test: {group: 2, description: "Unit tests", timeout: "10m", required: true}
	build: {group: 3, description: "What a release would build"}
}
publishers: index: {
	type:      "pypi"
	index_url: "https://index.example/simple/"
	credentials: {provider: "local", key: "publishers/pypi/token"}
}
"""

PROJECT = """package project

import "list"

_name: "project-NUMBER"
name:  _name

_tools: ["ruff", "mypy", "bandit"]
_ports: list.Sort([8080, 9090, 8443], list.Ascending)

ci: phases: {
	lint: {
		for tool in _tools {
			(tool): {
				action: "command"
				command: ["uvx", tool, "check", "."]
				priority: 5
			}
		}
	}
	test: unit: {
		action: "command"
		command: ["uv", "run", "pytest", "-q", "--project=\\(_name)"]
		timeout: string @repo(path="phases.test.timeout")
		secrets: [{provider: "local", key: "ci/token", env: "FORGE_SECRET_TOKEN"}]
	}
	build: wheel: {
		action: "command"
		command: ["uv", "build", "--wheel", "--out-dir", "dist"]
	}
}

artifacts: wheel: {
	type: "archive"
	producer: python: {}
	publishers: index: {}
}

release: on: [{branch: "main|release/.*"}, {tag: true}]

deployment: resources: [
	{
		apiVersion: "v1"
		kind:       "ConfigMap"
		metadata: name: "\\(_name)-package"
		data: {
			version: string @artifact("wheel.publishers.index.version")
			digest:  string @artifact("wheel.digest")
		}
	},
	{
		apiVersion: "v1"
		kind:       "Service"
		metadata: name: _name
		spec: {
			selector: app: _name
			ports: [for number in _ports {name: "p\\(number)", port: number, targetPort: number}]
		}
	},
]
"""
MODULE = 'module: "example.com/project-NUMBER"\nlanguage: version: "v0.17.0"\n'


def configuration(projects: int) -> dict[str, str]:
    """The files below `.forge` of a repository with so many projects."""
    found = {".forge/repo.cue": REPOSITORY}
    for number in range(projects):
        folder = f"group{number % 10}/project{number}/.forge"
        found[f"{folder}/project.cue"] = PROJECT.replace("NUMBER", str(number))
        found[f"{folder}/cue.mod/module.cue"] = MODULE.replace("NUMBER", str(number))
    return found


def make_repository(folder: Path, files: int, projects: int) -> str:
    """Makes a bare repository with one commit, whose id it returns."""
    contents = configuration(projects)
    for number in range(files - len(contents)):
        place = f"group{number % 10}/project{number % projects}/src/package{number % 7}"
        contents[f"{place}/module{number}.py"] = f'"""Module {number}."""\n' + "x = 1\n" * 40
    subprocess.run(["git", "init", "-q", "--bare", str(folder)], check=True)
    stream = [b"commit refs/heads/main\ncommitter A <a@example.org> 0 +0000\ndata 5\nfirst\n"]
    for path, text in contents.items():
        body = text.encode()
        stream.append(b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(body), body))
    git = ["git", f"--git-dir={folder}"]
    subprocess.run([*git, "fast-import", "--quiet"], input=b"".join(stream), check=True)
    subprocess.run([*git, "gc", "-q"], check=True)
    return subprocess.run([*git, "rev-parse", "main"], check=True, capture_output=True, text=True).stdout.strip()
