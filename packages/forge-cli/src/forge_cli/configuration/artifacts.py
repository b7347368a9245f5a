"""Outputs of artifacts from a file, in the place of those of a release."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import JsonValue, TypeAdapter, ValidationError

from forge_sdk.errors import ConfigurationError

MAX_BYTES = 4 * 1024 * 1024
FORM = "it must map each artifact's name to its outputs, such as {web: {uri: registry.example/web}}"
Outputs = dict[str, dict[str, JsonValue]]
_OUTPUTS: TypeAdapter[Outputs] = TypeAdapter(Outputs)


class _Loader(yaml.SafeLoader):
    """Refuses aliases, which let a small file stand for a huge value."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases are not accepted")
        return super().compose_node(parent, index)


def read_outputs(file: Path) -> Outputs:
    """The outputs in a JSON or YAML file by artifact; `ConfigurationError` where it holds anything else."""
    with file.open("rb") as opened:
        data = opened.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ConfigurationError(f"{file} has more than {MAX_BYTES} bytes, which is the most that is read")
    try:
        # JSON is YAML, but for tabs, so one reader serves both after them.
        return _OUTPUTS.validate_python(yaml.load(data.replace(b"\t", b" "), Loader=_Loader))  # noqa: S506 - a safe one
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'file'}: {one['msg']}" for one in error.errors()[:5])
        raise ConfigurationError(f"{file} holds no outputs of artifacts ({problems}): {FORM}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"{file} is neither JSON nor YAML: {error}") from error
