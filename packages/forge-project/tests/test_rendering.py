import re
from datetime import UTC, datetime

import pytest
import yaml

from forge_sdk.errors import ConfigurationError, ErrorCode
from forge_sdk.models.artifacts import ArchiveFile, ArchiveOutput, ArtifactRecord, ContainerOutput, PublisherResult

DIGEST = "sha256:" + "a" * 64
PATH = "services/shop/.forge/project.cue"
OUTPUTS = {
    "web": {"digest": DIGEST, "uri": "registry.example/shop@" + DIGEST, "publishers": {"images": {"uri": "x"}}},
    "cli-tool": {"digest": DIGEST, "publishers": {"index": {"uri": "y", "version": "1.10"}}},
}
RESOURCES = """package project
name: "a"
ci: phases: check: a: {{action: "command", command: ["x"]}}
deployment: resources: [{resources}]
"""


def with_resources(files, *resources):
    return {**files, PATH: RESOURCES.format(resources=", ".join(resources))}


def config_map(name, **more):
    metadata = {"name": name, **more.get("metadata", {})}
    fields = ", ".join(f"{key}: {value!r}".replace("'", '"') for key, value in metadata.items())
    return f'{{apiVersion: "v1", kind: "ConfigMap", metadata: {{{fields}}}}}'


async def rejected(render, files, outputs=None):
    with pytest.raises(ConfigurationError) as error:
        await render(files, "services/shop", OUTPUTS if outputs is None else outputs)
    assert error.value.code is ErrorCode.RENDERING_FAILED
    return error.value.message


async def test_manifests_of_a_project(render, files):
    found = await render(files, "services/shop", OUTPUTS)
    assert list(found) == ["configmap-shop.yaml", "deployment-shop.yaml"]
    assert found["configmap-shop.yaml"] == (
        b'apiVersion: v1\ndata:\n  version: "1.10"\nkind: ConfigMap\nmetadata:\n  name: shop\n'
    )
    container = yaml.safe_load(found["deployment-shop.yaml"])["spec"]["template"]["spec"]["containers"][0]
    assert container == {"name": "web", "image": "registry.example/shop@" + DIGEST}


async def test_records_of_a_release_fill_attributes(render, files):
    built = {"digest": DIGEST, "tracking_oci_uri": "t", "tracking_oci_digest": DIGEST, "built_at": datetime.now(UTC)}
    image = ContainerOutput(location_type="oci-layout", image_ref="x", image_id="y", digest=DIGEST, size=1)
    wheel = ArchiveOutput(files=(ArchiveFile(path="a.whl", format="whl", size=1, digest=DIGEST),))
    records = [
        ArtifactRecord(
            name="web",
            type="container",
            output=image,
            publishers=(PublisherResult(publisher="images", uri="registry.example/web:1"),),
            **built,
        ),
        ArtifactRecord(
            name="cli-tool",
            type="archive",
            output=wheel,
            publishers=(PublisherResult(publisher="index", uri="i", metadata={"version": "2.0"}),),
            **built,
        ),
    ]
    found = await render(files, "services/shop", {one.name: one.attributes() for one in records})
    assert b"image: registry.example/web:1" in found["deployment-shop.yaml"]
    assert yaml.safe_load(found["configmap-shop.yaml"])["data"] == {"version": "2.0"}


async def test_values_that_depend_on_an_attribute(render, files):
    files[PATH] = (
        files[PATH]
        .replace("release: on", '_image: string @artifact("web.uri")\nrelease: on')
        .replace('{name: "web", image: string @artifact("web.uri")}', '{name: "web", image: "proxy/\\(_image)"}')
    )
    found = await render(files, "services/shop", OUTPUTS)
    assert b"image: proxy/registry.example/shop@" in found["deployment-shop.yaml"]


async def test_missing_output_says_which_and_what_exists(render, files):
    outputs = {**OUTPUTS, "web": {"digest": DIGEST, "publishers": {}}}
    text = await rejected(render, files, outputs)
    assert "the configuration has 1 problem" in text
    assert f"{PATH}:21:80: @artifact: there is no output web.uri (available: web.digest, web.publishers)" in text


async def test_missing_artifact_says_which_exist(render, files):
    text = await rejected(render, files, {"web": OUTPUTS["web"]})
    assert "there is no output 'cli-tool'.publishers.index.version" in text
    assert "available: web" in text


async def test_output_of_a_wrong_type_names_the_attribute(render, files):
    text = await rejected(render, files, {**OUTPUTS, "web": {**OUTPUTS["web"], "uri": 3}})
    assert f"{PATH}:21:" in text
    assert "a string is needed, not 3" in text


async def test_project_without_deployment_has_no_manifests(render, files):
    files[PATH] = files[PATH][: files[PATH].index("deployment:")]
    assert await render(files, "services/shop", OUTPUTS) == {}


async def test_unknown_project_lists_those_that_exist(render, files):
    with pytest.raises(ConfigurationError, match="projects are at: services/shop") as error:
        await render(files, "services/shopp", {})
    assert error.value.code is ErrorCode.NOT_FOUND


async def test_duplicates_are_refused(render, files):
    text = await rejected(render, with_resources(files, config_map("x"), config_map("x")))
    assert re.search(r"project\.cue:4:\d+: .*ConfigMap 'x' is already at services/shop", text)


async def test_equal_names_in_two_namespaces_get_a_file_each(render, files):
    resources = [config_map("x", metadata={"namespace": space}) for space in ("a", "b")]
    found = await render(with_resources(files, *resources), "services/shop", {})
    again = await render(with_resources(files, *reversed(resources)), "services/shop", {})
    assert len(found) == 2
    assert found == again
    assert all(re.fullmatch(r"configmap-x-[0-9a-f]{12}\.yaml", name) for name in found)


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "", ".", "a\\u0000", "-x", "a\\nb", "x" * 254])
async def test_names_that_are_no_names_are_refused(render, files, name):
    text = await rejected(render, with_resources(files, config_map("PLACE").replace("PLACE", name)))
    assert "deployment.resources[0].metadata.name" in text


@pytest.mark.parametrize("name", ["system:node", "x" * 253, "Mixed.Case", "con", "a..b"])
async def test_file_names_are_portable(render, files, name):
    (file,) = await render(with_resources(files, config_map(name)), "services/shop", {})
    assert re.fullmatch(r"configmap-[a-z0-9][a-z0-9.-]{0,230}\.yaml", file)


async def test_open_values_are_refused(render, files):
    text = await rejected(render, with_resources(files, '{apiVersion: "v1", kind: "X", metadata: name: "x", n: int}'))
    assert "deployment.resources[0].n: no value is given, only int" in text
