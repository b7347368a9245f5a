import pytest

PATH = "services/shop/.forge/project.cue"


def changed(files, old, new):
    assert old in files[PATH]
    return {**files, PATH: files[PATH].replace(old, new)}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("wbe.uri", "@artifact: the project has no artifact 'wbe' (did you mean 'web'? artifacts: cli-tool, web)"),
        ("web.url", "artifact 'web' of type container has no url (did you mean 'uri'?"),
        (
            "web.path",
            (
                "artifact 'web' of type container has no path (available in web: base_image, digest, image_id, image_ref, layers, "
                "publishers, size, uri)"
            ),
        ),
        ("web.publishers.index.uri", "has no publishers.index.uri (available in web.publishers: images)"),
        (
            "web.publishers.images.tag",
            "has no publishers.images.tag (available in web.publishers.images: digest, registry, uri)",
        ),
        ("web..uri", "has an empty name between two dots"),
        ("", "@artifact: '' is no path"),
    ],
)
async def test_unknown_path_lists_what_exists(refused, files, written, expected):
    (problem,) = await refused(changed(files, '@artifact("web.uri")', f'@artifact("{written}")'))
    assert problem.startswith(f"{PATH}:21:80: ")
    assert expected in problem


@pytest.mark.parametrize(
    "written",
    ["web", "web.digest", "web.size", "web.publishers", "web.publishers.images.digest", "'cli-tool'.files[0].digest"],
)
async def test_known_paths_are_left_open(discover, files, written):
    files = changed(files, 'string @artifact("web.uri")', f'_ @artifact("{written}")')
    assert (await discover(files)).projects[0].deployment


async def test_uri_needs_a_publisher(refused, files):
    (problem,) = await refused(changed(files, 'publishers: {images: tags: ["latest"]}', "publishers: {}"))
    assert "artifact 'web' of type container has no uri" in problem


async def test_artifact_outside_of_deployment_is_refused(refused, files):
    found = await refused(changed(files, '{branch: "main|release/.*"}', '{branch: string @artifact("web.uri")}'))
    assert any("release.on[0].branch: @artifact has no value before the artifact is built" in one for one in found)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('path="phases.tset.timeout"', "has no phases.tset.timeout (did you mean 'phases.test.timeout'? "),
        ('path="phases.test.timeot"', "(did you mean 'phases.test.timeout'? available: phases.test.description"),
        ('"phases.test.timeout"', 'exactly one argument is needed (write @repo(path="phases.test.timeout"))'),
    ],
)
async def test_unknown_repository_path(refused, files, written, expected):
    (problem,) = await refused(changed(files, 'path="phases.test.timeout"', written))
    assert expected in problem


async def test_repo_attribute_of_a_wrong_type_names_the_attribute(refused, files):
    found = await refused(changed(files, 'path="phases.test.timeout"', 'path="phases.test.group"'))
    assert len(found) == 1
    assert found[0].startswith(PATH)
    assert "types.timeout: a string is needed, not 2 (one value comes from @repo(" in found[0]


@pytest.mark.parametrize(
    "written",
    [
        'path="phases.test.timeout"',
        'path = "phases.test.timeout"',
        'path="phases.\\"test\\".timeout"',
        "path=phases.test.timeout",
    ],
)
async def test_forms_of_repo_attributes(discover, files, written):
    document = await discover(changed(files, 'path="phases.test.timeout"', written))
    assert document.projects[0].phases[0].waves[0][1].timeout_s == 2700


async def test_repo_attribute_takes_defaults(discover, files):
    document = await discover(changed(files, "phases.test.timeout", "phases.lint.timeout"))
    assert document.projects[0].phases[0].waves[0][1].timeout_s == 1800


async def test_unknown_attributes_are_ignored(discover, files):
    document = await discover(changed(files, 'name: "shop"\nci', 'name: "shop" @go(Name)\nci'))
    assert document.projects[0].name == "shop"
