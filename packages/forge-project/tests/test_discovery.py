from forge_sdk.models.statuses import ArtifactType


async def test_document_of_a_whole_repository(discover, files):
    document = await discover(files, event="push", branch="main")
    assert [(one.name, one.path) for one in document.projects] == [("shop", "services/shop")]
    assert [(one.group, one.phases) for one in document.phase_groups] == [(1, ("check", "lint")), (2, ("test",))]
    assert document.release_projects == ("shop",)
    assert document.projects[0].deployment
    assert document.warnings == ()


async def test_repository_keeps_publishers_and_secret_references(discover, files):
    repository = (await discover(files)).repository
    index = repository.publisher("index")
    assert index.configuration == {"index_url": "https://index.example/simple"}
    assert str(index.credentials) == "local(key=publishers/token)"
    assert {one.name: one.timeout_s for one in repository.phases} == {"check": 1800, "test": 2700, "lint": 1800}


async def test_steps_run_in_waves_by_priority(discover, files):
    phases = {one.name: one for one in (await discover(files)).projects[0].phases}
    assert [[step.name for step in wave] for wave in phases["check"].waves] == [["style", "types"], ["last"]]


async def test_step_carries_its_own_fields_only(discover, files):
    phases = {one.name: one for one in (await discover(files)).projects[0].phases}
    last = phases["check"].waves[1][0]
    assert last.configuration == {"command": ["true"]}
    assert [(one.env, str(one.reference)) for one in last.secrets] == [("TOKEN", "local(key=ci/token)")]


async def test_repo_attribute_takes_the_repository_value(discover, files):
    phases = {one.name: one for one in (await discover(files)).projects[0].phases}
    assert phases["check"].waves[0][1].timeout_s == 2700
    assert phases["test"].waves[0][0].timeout_s == 5400


async def test_artifacts_with_publishers_in_source_order(discover, files):
    path = "services/shop/.forge/project.cue"
    files[path] = files[path].replace("{index: {}}", "{zz: {}, index: {}}")
    files[".forge/repo.cue"] = files[".forge/repo.cue"].replace(
        "publishers: {", 'publishers: {\n\tzz: {type: "index", index_url: "x"}'
    )
    found = {one.name: one for one in (await discover(files)).projects[0].artifacts}
    assert [one.name for one in found["cli-tool"].publishers] == ["zz", "index"]
    assert (found["web"].type, found["web"].producer) == (ArtifactType.CONTAINER, "build")
    assert found["web"].configuration == {"target": "web"}


async def test_without_repository_file_there_are_no_projects(discover, files):
    del files[".forge/repo.cue"]
    document = await discover(files)
    assert document.projects == ()
    assert document.repository is None


async def test_repository_without_projects(discover, files):
    document = await discover({".forge/repo.cue": files[".forge/repo.cue"]})
    assert document.projects == ()
    assert document.repository.forge_version == "v0.1.0"


async def test_project_at_the_root(discover, files):
    files[".forge/project.cue"] = (
        'package project\nname: "root"\nci: phases: check: a: {action: "command", command: ["x"]}'
    )
    assert [one.path for one in (await discover(files)).projects] == [".", "services/shop"]


async def test_newer_minor_version_is_a_warning(discover, files):
    files[".forge/repo.cue"] = files[".forge/repo.cue"].replace("v0.1.0", "v0.2.0")
    (warning,) = (await discover(files)).warnings
    assert (warning.file, warning.line) == (".forge/repo.cue", 3)
    assert "v0.2.0" in warning.message
    assert "v0.1.0" in warning.message


async def test_unread_files_are_a_warning(discover, files):
    files["services/shop/.forge/more.cue"] = "package project"
    (warning,) = (await discover(files)).warnings
    assert warning.file == "services/shop/.forge/more.cue"


async def test_document_survives_json(discover, files):
    document = await discover(files, event="tag", tag="shop/v1.0.0")
    assert type(document).model_validate_json(document.model_dump_json()) == document


async def test_many_projects_in_one_discovery(discover, files):
    for number in range(60):
        files[f"p/{number}/.forge/project.cue"] = (
            f'package project\nname: "p{number}"\nci: phases: check: a: {{action: "command", command: ["x"]}}'
        )
    assert len((await discover(files)).projects) == 61


async def test_schema_can_be_imported_by_users(discover, files):
    files["b/.forge/project.cue"] = """package project
import "forge.projectcatalyst.io/schema/v1"
v1.#Project
name: "imported"
ci: phases: check: a: {action: "command", command: ["x"]}
"""
    assert {one.name for one in (await discover(files)).projects} == {"imported", "shop"}
