"""The project component: what the rest of the platform asks of a repository's configuration."""

from collections.abc import Mapping

from pydantic import JsonValue

from forge_cue import Evaluator
from forge_project.discovery import Discovery
from forge_project.schema import composed_schema
from forge_project.source import SourceTree
from forge_sdk.models.discovery import DiscoveryDocument
from forge_sdk.models.jobs import GitContext
from forge_sdk.plugins.manager import Plugins

PLATFORM_VERSION = "v0.1.0"


class ProjectComponent:
    """Discovery and rendering with the installed plugins.

    One object serves any number of calls at once; the evaluator is the caller's, who ends it.
    """

    def __init__(self, plugins: Plugins, evaluator: Evaluator, platform_version: str = PLATFORM_VERSION) -> None:
        """`platform_version` is what a repository's `forgeVersion` is compared with."""
        self._plugins = plugins
        self._evaluator = evaluator
        self._platform_version = platform_version
        self._discovery = Discovery(plugins, evaluator, platform_version)

    async def discover(self, source: SourceTree, git: GitContext) -> DiscoveryDocument:
        """What the configuration of `source` says, with the release triggers that `git` satisfies.

        Raises `ConfigurationError`: `context["diagnostics"]` lists every problem, sorted by file and line; its code is
        `version_unsupported` for a configuration of another major version, `cue_limit_exceeded` where an evaluation needs too
        much. Raises `PlatformError` where the source can't be read, a plugin's schema is wrong, or the evaluator fails.
        """
        return await self._discovery.document(await source.files(), git)

    async def render(
        self, source: SourceTree, project_path: str, artifacts: Mapping[str, dict[str, JsonValue]]
    ) -> dict[str, bytes]:
        """The manifests of the project in the folder `project_path` (`.` for the root): file name to YAML.

        `artifacts` holds for each artifact what `@artifact` may name (`ArtifactRecord.attributes()`). The same input gives the same
        bytes; a project without deployment gives none. Raises what `discover` raises, with the code `rendering_failed` for
        problems of the configuration.
        """
        # Only rendering needs YAML and the schemas of Kubernetes.
        from forge_project.rendering import Rendering

        rendering = Rendering(self._plugins, self._evaluator, self._platform_version)
        return await rendering.manifests(await source.files(), project_path, artifacts)

    def schema(self) -> str:
        """The schema composed of the platform's and the plugins' definitions, as text for people."""
        return composed_schema(self._plugins)
