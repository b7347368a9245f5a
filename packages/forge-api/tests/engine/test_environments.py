import pytest

from forge_api.deployments.environments import Environments
from forge_sdk.errors import ConfigurationError, PlatformError


@pytest.fixture
def file(tmp_path):
    return tmp_path / "environments.yaml"


def test_the_file_is_read_again_when_it_changes(file):
    file.write_text("environments: {dev: {}}")
    environments = Environments(file)
    file.write_text("environments: {dev: {}, staging: {}}")
    assert sorted(environments.current()) == ["dev", "staging"]


@pytest.mark.parametrize("content", ["environments: {dev: {typo: 1}}", "{", "[]", "environments: {Dev: {}}", ""])
def test_a_wrong_change_leaves_the_last_good_one(file, content, caplog):
    file.write_text("environments: {dev: {}}")
    environments = Environments(file)
    file.write_text(content + "\n")
    assert list(environments.current()) == ["dev"]


def test_a_file_that_vanishes_leaves_the_last_good_one(file):
    file.write_text("environments: {dev: {}}")
    environments = Environments(file)
    file.unlink()
    assert list(environments.current()) == ["dev"]


def test_a_wrong_file_at_the_start_names_file_and_field(file):
    file.write_text("environments: {dev: {promotion_policy: {auto_deploy: maybe}}}")
    with pytest.raises(
        ConfigurationError, match=r"environments\.yaml: environments\.dev\.promotion_policy\.auto_deploy"
    ):
        Environments(file)


def test_a_missing_file_at_the_start_is_an_error(file):
    with pytest.raises(ConfigurationError, match="can't be read"):
        Environments(file)


def test_yaml_can_not_make_objects(file):
    file.write_text("environments: !!python/object/apply:os.system ['true']")
    with pytest.raises(ConfigurationError, match="is not YAML"):
        Environments(file)


@pytest.mark.parametrize("other", ["staging", "production"])
def test_an_order_names_other_environments_of_the_file(file, other):
    file.write_text(f"environments: {{dev: {{}}, production: {{promotion_policy: {{after: [{other}]}}}}}}")
    with pytest.raises(ConfigurationError, match=f"production comes after '{other}', which is no other environment"):
        Environments(file)


def test_models_show_what_is_configured(file):
    file.write_text("environments: {dev: {promotion_policy: {auto_deploy: true}}}")
    [found] = Environments(file).models()
    assert (found.name, found.policy) == ("dev", {"promotion_policy": {"auto_deploy": True}})


def test_an_unknown_environment_is_not_found(file):
    file.write_text("environments: {}")
    with pytest.raises(PlatformError, match="configured are: none"):
        Environments(file).find("dev")
