"""Settings of plugins on this platform, from `plugins.<name>` of the configuration."""

from collections.abc import Mapping

from pydantic import BaseModel, JsonValue, ValidationError

from forge_sdk.errors import ConfigurationError


def plugin_settings(
    name: str, model: type[BaseModel] | None, configured: Mapping[str, Mapping[str, JsonValue]]
) -> BaseModel | None:
    """The section `plugins.<name>` as the plugin's own model; `None` where the plugin declares none.

    Raises `ConfigurationError` that names every field that is wrong.
    """
    if model is None:
        return None
    try:
        return model.model_validate(dict(configured.get(name, {})))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors())
        raise ConfigurationError(
            f"section plugins.{name} of the worker's configuration is wrong: {problems}", component="worker"
        ) from None


def validated(model: type[BaseModel], values: Mapping[str, JsonValue], what: str) -> BaseModel:
    """`values` as `model`; a `ConfigurationError` names `what` and every field that is wrong, but no value."""
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, found['loc']))}: {found['msg']}" for found in error.errors())
        raise ConfigurationError(f"{what}: {problems}", component="worker") from None
