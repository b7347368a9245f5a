import json

import pytest
import yaml

from forge_cli.exits import Exit

OUTPUTS = {"wheel": {"uri": "https://packages.example/api", "publishers": {"index": {"version": "1.2.3"}}}}


@pytest.fixture
def outputs(tmp_path):
    file = tmp_path / "outputs.json"
    file.write_text(json.dumps(OUTPUTS, indent="\t"))
    return file


def test_resources_are_printed_as_a_stream(configured, outputs, run_forge):
    done = run_forge("render", "api", "--artifacts", str(outputs))
    resources = list(yaml.safe_load_all(done.stdout))
    assert [one["kind"] for one in resources] == ["ConfigMap", "Service"]
    assert resources[0]["data"] == {"version": "1.2.3"}


def test_outputs_may_be_yaml(configured, tmp_path, run_forge):
    file = tmp_path / "outputs.yaml"
    file.write_text(yaml.safe_dump(OUTPUTS))
    assert 'version: "1.2.3"' in run_forge("render", "api", "--artifacts", str(file)).stdout


def test_json_has_the_file_of_each_resource(configured, outputs, run_forge):
    document = json.loads(run_forge("render", "api", "--json", "--artifacts", str(outputs)).stdout)
    assert (document["schemaVersion"], document["project"], document["path"]) == ("1.0", "api", "services/api")
    assert [one["file"] for one in document["resources"]] == ["configmap-api.yaml", "service-api.yaml"]
    assert document["resources"][1]["object"]["spec"] == {"ports": [{"port": 80}]}


def test_a_file_for_each_resource(configured, outputs, tmp_path, run_forge):
    folder = tmp_path / "manifests" / "api"
    done = run_forge("render", "api", "--artifacts", str(outputs), "--output", str(folder))
    assert done.stdout == ""
    assert sorted(path.name for path in folder.iterdir()) == ["configmap-api.yaml", "service-api.yaml"]
    (folder / "old.yaml").touch()
    again = run_forge("render", "api", "--artifacts", str(outputs), "--output", str(folder))
    assert "holds other manifests too: old.yaml" in again.stderr
    assert len(list(folder.iterdir())) == 3


def test_a_missing_output_says_which_and_what_exists(configured, tmp_path, process):
    file = tmp_path / "outputs.json"
    file.write_text('{"wheel": {"publishers": {"index": {"package_name": "api"}}}}')
    done = process("render", "api", "--artifacts", file)
    assert (done.returncode, done.stdout) == (Exit.USAGE, "")
    assert "there is no output wheel.publishers.index.version" in done.stderr
    assert "wheel.publishers.index.package_name" in done.stderr


def test_without_outputs_the_option_is_named(configured, process):
    done = process("render", "api")
    assert done.returncode == Exit.USAGE
    assert "services/api/.forge/project.cue:18:24: error: " in done.stderr
    assert "--artifacts FILE" in done.stderr


def test_without_attributes_no_outputs_are_needed(configured, change, run_forge):
    change("services/api/.forge/project.cue", 'string @artifact("wheel.publishers.index.version")', '"1"')
    assert run_forge("render", "api").return_value == Exit.SUCCESS


def test_a_project_without_deployment_renders_nothing(configured, write, run_forge):
    project = 'package project\nname: "lib"\nci: phases: test: x: {action: "command", command: ["true"]}\n'
    write({"lib/.forge/project.cue": project})
    done = run_forge("render", "lib")
    assert (done.return_value, done.stdout) == (Exit.SUCCESS, "")
    assert "nothing to render" in done.stderr


def test_an_unknown_project_is_explained(configured, process):
    done = process("render", "apy")
    assert done.returncode == Exit.USAGE
    assert "did you mean 'api'? projects: api" in done.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[1, 2]", "holds no outputs of artifacts"),
        ("wheel: text", "holds no outputs of artifacts"),
        ("wheel: {a: 2024-01-01}", "holds no outputs of artifacts"),
        ("{", "is neither JSON nor YAML"),
        ("a: &a {b: 1}\nc: *a", "aliases are not accepted"),
        ("!!python/object:os.system {}", "is neither JSON nor YAML"),
    ],
)
def test_files_that_hold_no_outputs_are_refused(configured, process, tmp_path, text, reason):
    file = tmp_path / "outputs.yaml"
    file.write_text(text)
    done = process("render", "api", "--artifacts", file)
    assert done.returncode == Exit.USAGE
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
