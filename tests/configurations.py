"""Configurations and sources of the repositories that the tests run."""

import json

REPOSITORY = """package repo

forgeVersion: "v0.1.0"
tagging: strategy: "monorepo"
phases: {
	lint: group: 1
	test: {group: 2, timeout: "10m"}
}
"""

PUBLISHERS = """
publishers: index: {
	type:      "pypi"
	index_url: "%s"
	credentials: {provider: "local", key: "publishers/pypi/token"}
}
"""

MODULE = 'module: "test.example/%s@v0"\nlanguage: version: "v0.13.0"\n'

PACKAGE = """package project

name: "%s"
ci: phases: test: unit: {
	action: "command"
	command: ["uv", "run", "--quiet", "--no-project", "--with", "pytest", "pytest", "-q", "-p", "no:cacheprovider"]
	environment: PYTHONPATH: "src"
}
artifacts: wheel: {
	type: "archive"
	producer: python: {}
	publishers: index: {}
}
release: on: [{branch: "main"}]
"""

DEPLOYMENT = """
deployment: resources: [{
	apiVersion: "v1"
	kind:       "ConfigMap"
	metadata: name: "package"
	data: {
		version: string @artifact("wheel.publishers.index.version")
		digest:  string @artifact("wheel.digest")
	}
}]
"""

PYPROJECT = """[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[project]
name = "%s"
version = "%s"
requires-python = ">=3.11"

[tool.hatch.build.targets.wheel]
packages = ["src/%s"]

[tool.pytest.ini_options]
testpaths = ["tests"]
"""


def step(command: str, name: str = "api", **extra: str) -> str:
    """A project with one step in phase `test` that runs a line of shell."""
    fields = "".join(f"\t{key}: {value}\n" for key, value in extra.items())
    return f'package project\n\nname: "{name}"\nci: phases: test: unit: {{\n\taction: "command"\n\tcommand: ["sh", "-c", {command!r}]\n{fields}}}\n'.replace(
        "'", '"'
    )


def archive(command: str, name: str = "tool") -> str:
    """A project whose only artifact, sealed and published nowhere, is an archive that a line of shell makes."""
    return f"""package project

name: "{name}"
artifacts: files: {{
	type: "archive"
	producer: command: {{
		command: ["sh", "-c", {json.dumps(command)}]
		outputs: [{{path: "files.tar.gz"}}]
	}}
	publishers: {{}}
}}
release: on: [{{branch: "main"}}]
"""


def python_package(name: str, index_url: str, *, version: str = "1.0.0", deployment: str = "") -> dict[str, str]:
    """A small Python package with a test, as somebody else would have it, and `.forge` added."""
    return {
        ".forge/repo.cue": REPOSITORY + PUBLISHERS % index_url,
        ".forge/cue.mod/module.cue": MODULE % name,
        ".forge/project.cue": PACKAGE % name + deployment,
        "pyproject.toml": PYPROJECT % (name, version, name),
        f"src/{name}/__init__.py": "def double(number: int) -> int:\n    return 2 * number\n",
        "tests/test_double.py": f"from {name} import double\n\n\ndef test_double():\n    assert double(21) == 42\n",
    }
