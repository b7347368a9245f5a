from pathlib import Path

import pytest
import yaml

from forge_oci.registry import KeySigner, sign_image


def _names(stream: str) -> list[tuple[str, str, str | None]]:
    return [
        (document["kind"], document["metadata"]["name"], document["metadata"].get("namespace"))
        for document in yaml.safe_load_all(stream)
    ]


async def test_prints_the_signed_release_sorted(application, publish):
    application.point(await publish())
    run = application.run()
    assert run.status == 0, run.stderr
    assert _names(run.stdout) == [("ConfigMap", "web", "a"), ("ConfigMap", "web", "b"), ("Service", "web", None)]
    assert next(yaml.safe_load_all(run.stdout))["data"] == {"text": "grüße"}


async def test_a_warm_run_needs_no_registry(application, publish, registry):
    application.point(await publish())
    cold = application.run()
    registry.server.stop_blocking()
    warm = application.run()
    assert (warm.status, warm.stdout, warm.stderr) == (0, cold.stdout, "")


async def test_a_new_pointer_to_a_known_digest_needs_no_registry(application, publish, registry):
    digest = await publish()
    application.point(digest)
    application.run()
    registry.server.stop_blocking()
    application.point(digest, extra="  deployedBy: alice\n")
    assert application.run().status == 0


async def test_a_warm_run_imports_nothing_heavy(application, publish):
    application.point(await publish())
    application.run()
    imported = application.run(PYTHONPROFILEIMPORTTIME="1").stderr
    modules = {line.rpartition("|")[2].strip() for line in imported.splitlines()}
    assert "hashlib" in modules
    assert not modules & {
        "yaml",
        "http.client",
        "ssl",
        "json",
        "re",
        "pathlib",
        "forge_oci.core.errors",
        "cryptography",
    }


async def test_the_environment_file_is_appended(application, publish):
    application.point(await publish())
    (application.directory / "env.yml").write_text(
        "apiVersion: forge.projectcatalyst.io/v1alpha1\nkind: EnvironmentConfig\nmetadata: {name: aaa}\n"
    )
    assert _names(application.run().stdout)[-1] == ("EnvironmentConfig", "aaa", None)
    (application.directory / "env.yml").write_text("kind: EnvironmentConfig\n")
    assert application.run().stderr.startswith("forge-cmp: env.yml: environment_invalid: ")


async def test_the_prefix_is_part_of_the_name(application, registry, publish, signing_key):
    digest = await publish()
    application.point(digest)
    run = application.run(FORGE_RELEASE_PREFIX="releases")
    assert (run.status, run.code, run.stdout) == (1, "image_missing", "")
    image = await registry.pull("acme/shop/api", digest)
    await registry.push(image, "releases/acme/shop/api")
    await sign_image(registry, "releases/acme/shop/api", image.descriptor, KeySigner(signing_key[0]))
    assert application.run(FORGE_RELEASE_PREFIX="releases").status == 0


async def test_an_application_can_choose_neither_registry_nor_keys(application, publish, other_key):
    application.point(await publish())
    run = application.run(
        ARGOCD_ENV_FORGE_REGISTRY="evil.example.com", ARGOCD_ENV_FORGE_PUBLIC_KEY_FILES=str(other_key[1])
    )
    assert run.status == 0


@pytest.mark.parametrize(
    ("changes", "file"),
    [
        ({"FORGE_REGISTRY": ""}, "FORGE_REGISTRY"),
        ({"FORGE_REGISTRY": "registry.example.com"}, "FORGE_REGISTRY_PLAIN_HTTP"),
        ({"FORGE_REGISTRY": "127.0.0.1.example.com:80"}, "FORGE_REGISTRY_PLAIN_HTTP"),
        ({"FORGE_PUBLIC_KEY_FILES": ""}, "FORGE_PUBLIC_KEY_FILES"),
        ({"FORGE_PUBLIC_KEY_FILES": "/nowhere"}, "FORGE_PUBLIC_KEY_FILES"),
        ({"FORGE_REQUIRE_SIGNATURE": "no"}, "FORGE_REQUIRE_SIGNATURE"),
        ({"FORGE_DEADLINE_SECONDS": "-1"}, "FORGE_DEADLINE_SECONDS"),
        ({"FORGE_REGISTRY_USERNAME": "me"}, "FORGE_REGISTRY_USERNAME"),
    ],
)
async def test_wrong_settings_are_named(application, changes, file):
    application.point("sha256:" + "0" * 64)
    run = application.run(**changes)
    assert (run.status, run.stdout, run.code) == (1, "", "configuration_invalid")
    assert run.stderr.startswith(f"forge-cmp: {file}: ")


async def test_discover_tells_whether_there_is_a_valid_pointer(application):
    assert (application.run("discover").status, application.run("discover").stdout) == (1, "")
    application.point("sha256:" + "0" * 64)
    found = application.run("discover")
    assert found.status == 0
    assert found.stdout == "acme/Shop/api@0123456789abcdef0123456789abcdef01234567\n"
    application.point("sha256:short")
    assert application.run("discover").code == "pointer_invalid"


async def test_a_warm_discovery_reads_no_yaml(application):
    application.point("sha256:" + "0" * 64)
    cold = application.run("discover")
    warm = application.run("discover", PYTHONPROFILEIMPORTTIME="1")
    assert warm.stdout == cold.stdout
    assert "| yaml" not in warm.stderr


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "kind: ReleasePointer",
        "a: [",
        "a: 1\na: 2",
        "---\n---\n{}\n",
        "\xff",
    ],
)
async def test_what_is_no_pointer_is_refused(application, content):
    (application.directory / "release.yaml").write_bytes(content.encode("latin-1"))
    run = application.run()
    assert (run.status, run.stdout) == (1, "")
    assert run.code in {"pointer_invalid", "yaml_duplicate_key"}


async def test_links_and_folders_in_the_repository_are_not_read(application, tmp_path: Path):
    (tmp_path / "secret").write_text("secret: value")
    (application.directory / "release.yaml").symlink_to(tmp_path / "secret")
    assert application.run().code == "pointer_invalid"
    (application.directory / "release.yaml").unlink()
    application.point("sha256:" + "0" * 64)
    (application.directory / "env.yml").mkdir()
    assert application.run().code == "environment_invalid"


async def test_an_output_that_is_full_is_said_in_one_line(application, publish):
    application.point(await publish())
    with Path("/dev/full").open("wb") as full:
        process = application.start(stdout=full.fileno())
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert stderr.decode() == "forge-cmp: standard output: output_failed: can't be written: No space left on device\n"


async def test_wrong_usage_exits_with_2(application):
    assert application.run("apply").status == 2
    assert application.run("--version").stdout == "0.1.0\n"
