"""Finds plugins through entry points, one distribution at a time: a broken one is reported and the others go on working."""

import hashlib
import importlib.metadata
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import pluggy
from packaging.specifiers import SpecifierSet

from forge_sdk import SDK_VERSION
from forge_sdk.errors import ErrorCode, PlatformError
from forge_sdk.models.plugins import PluginDescription, PluginProblem
from forge_sdk.plugins import hookspecs
from forge_sdk.plugins.contracts import Producer, Publisher, SecretResolver, StepAction

Kind = TypeVar("Kind")
SDK_DISTRIBUTION = "catalyst-forge-sdk"
_REQUIREMENT = re.compile(r"\s*(?P<name>[A-Za-z0-9._-]+)\s*(?P<versions>[^\[\]();@]*)")
KINDS: Mapping[str, tuple[str, type]] = {
    "forge_producers": ("producer", Producer),
    "forge_publishers": ("publisher", Publisher),
    "forge_secret_resolvers": ("secret resolver", SecretResolver),
    "forge_step_actions": ("step action", StepAction),
}


class _Named(Protocol):
    @property
    def name(self) -> str: ...


@dataclass
class Plugins:
    """The usable plugin objects by name, where each came from, and what could not be used."""

    producers: dict[str, Producer] = field(default_factory=dict)
    publishers: dict[str, Publisher] = field(default_factory=dict)
    secret_resolvers: dict[str, SecretResolver] = field(default_factory=dict)
    step_actions: dict[str, StepAction] = field(default_factory=dict)
    descriptions: list[PluginDescription] = field(default_factory=list)
    problems: list[PluginProblem] = field(default_factory=list)

    def producer(self, name: str) -> Producer:
        """The producer of that name; a `PlatformError` says what is installed."""
        return self.producers.get(name) or _missing("producer", name, self.producers)

    def publisher(self, name: str) -> Publisher:
        """The publisher of that type; a `PlatformError` says what is installed."""
        return self.publishers.get(name) or _missing("publisher", name, self.publishers)

    def secret_resolver(self, name: str) -> SecretResolver:
        """The resolver of that provider; a `PlatformError` says what is installed."""
        return self.secret_resolvers.get(name) or _missing("secret resolver", name, self.secret_resolvers)

    def step_action(self, name: str) -> StepAction:
        """The step action of that name; a `PlatformError` says what is installed."""
        return self.step_actions.get(name) or _missing("step action", name, self.step_actions)

    def _registry(self, hook: str) -> dict[str, object]:
        registries: dict[str, object] = {
            "forge_producers": self.producers,
            "forge_publishers": self.publishers,
            "forge_secret_resolvers": self.secret_resolvers,
            "forge_step_actions": self.step_actions,
        }
        registry = registries[hook]
        assert isinstance(registry, dict)  # noqa: S101 - tells mypy what the table above says
        return registry


def load_plugins(entry_points: Iterable[importlib.metadata.EntryPoint] | None = None) -> Plugins:
    """Everything that is installed under the group `catalyst_forge`, or only what `entry_points` name."""
    points = importlib.metadata.entry_points(group=hookspecs.PROJECT_NAME) if entry_points is None else entry_points
    plugins = Plugins()
    # Names and versions are read once: each question makes importlib.metadata parse the whole file again.
    found = [(*_distribution(point), point) for point in points]
    for distribution, version, entry_point in sorted(found, key=lambda each: (each[0], each[2].name)):
        try:
            _load(entry_point, distribution, version, plugins)
        except Exception as error:  # noqa: BLE001 - the fence: whatever a plugin does wrong is reported, nothing else stops
            message = f"{distribution} {version} ({entry_point.value}): {_reason(error)}"
            plugins.problems.append(PluginProblem(distribution=distribution, version=version, message=message))
    return plugins


def _load(entry_point: importlib.metadata.EntryPoint, distribution: str, version: str, plugins: Plugins) -> None:
    _check_sdk_requirement(entry_point)
    manager = pluggy.PluginManager(hookspecs.PROJECT_NAME)
    manager.add_hookspecs(hookspecs)
    manager.register(entry_point.load(), name=entry_point.name)
    manager.check_pending()
    declared = [(hook, item) for hook in KINDS for items in getattr(manager.hook, hook)() for item in items]
    if not declared:
        raise PlatformError(
            "declares nothing: implement at least one hook, marked with forge_sdk.plugins.hookimpl",
            code=ErrorCode.PLUGIN_INVALID,
        )
    for hook, item in declared:
        _check(hook, item, plugins)
    for hook, item in declared:
        plugins._registry(hook)[item.name] = item  # noqa: SLF001 - the two belong together
        plugins.descriptions.append(_describe(hook, item, distribution, version))


def _check(hook: str, item: _Named, plugins: Plugins) -> None:
    kind, protocol = KINDS[hook]
    if not isinstance(item, protocol):
        missing = sorted(name for name in _members(protocol) if not hasattr(item, name))
        raise PlatformError(
            f"{hook}() returned {type(item).__name__}, which lacks {', '.join(missing)}", code=ErrorCode.PLUGIN_INVALID
        )
    owner = next((known for known in plugins.descriptions if (known.kind, known.name) == (kind, item.name)), None)
    if owner is not None:
        raise PlatformError(
            f"{kind} {item.name!r} is already provided by {owner.distribution} {owner.version}: uninstall one of the two",
            code=ErrorCode.PLUGIN_INVALID,
        )


def _members(protocol: type) -> set[str]:
    return {name for name in vars(protocol) if not name.startswith("_")}


def _describe(hook: str, item: _Named, distribution: str, version: str) -> PluginDescription:
    texts = [str(getattr(item, name, "")) for name in ("schema", "repository_schema", "project_schema")]
    digest = hashlib.sha256("\x00".join(texts).encode()).hexdigest()
    return PluginDescription(
        kind=KINDS[hook][0],
        name=item.name,
        distribution=distribution,
        version=version,
        schema_digest=f"sha256:{digest}",
    )


def _check_sdk_requirement(entry_point: importlib.metadata.EntryPoint) -> None:
    for text in (entry_point.dist.requires or []) if entry_point.dist else []:
        try:
            versions = _sdk_versions(text)
        except ValueError:
            continue
        if versions is not None and not versions.contains(SDK_VERSION, prereleases=True):
            raise PlatformError(
                f"is written for {SDK_DISTRIBUTION} {versions}, installed is {SDK_VERSION}: install a version of the plugin for this SDK",
                code=ErrorCode.PLUGIN_INVALID,
            )


def _sdk_versions(text: str) -> SpecifierSet | None:
    """The versions of the SDK that a requirement asks for, `None` for one of another distribution; `ValueError` where it is none."""
    match = _REQUIREMENT.match(text)
    if match is None or re.sub(r"[-_.]+", "-", match["name"]).lower() != SDK_DISTRIBUTION:
        return None
    if match.end() == len(text):
        return SpecifierSet(match["versions"])
    # Parsing extras, markers and URLs needs modules that take long to import, and hardly any plugin has them here.
    from packaging.requirements import Requirement

    return Requirement(text).specifier


def _distribution(entry_point: importlib.metadata.EntryPoint) -> tuple[str, str]:
    if entry_point.dist is None:
        return entry_point.value, "unknown version"
    return entry_point.dist.name, entry_point.dist.version


def _reason(error: Exception) -> str:
    return error.message if isinstance(error, PlatformError) else f"can't be loaded: {type(error).__name__}: {error}"


def _missing(kind: str, name: str, installed: Mapping[str, Kind]) -> Kind:
    names = ", ".join(sorted(installed)) or "none"
    raise PlatformError(
        f"no {kind} {name!r} is installed (installed: {names}): install the distribution that provides it",
        code=ErrorCode.PLUGIN_MISSING,
    )
