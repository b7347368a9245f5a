"""The environment that steps, producers and their tools see."""

import fnmatch
import os
import re
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from forge_sdk.configuration import WorkerConfiguration
from forge_worker.execution.private_folders import HOME, TMP, PrivateFolders
from forge_worker.execution.tool_caches import TOOL_CACHES, tools_in_use

COPIED = ("PATH", "LANG", "LC_*", "TZ")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_USER_INFORMATION = re.compile(r"//[^/\s@]*@")
_SECRET_NAME = re.compile(r"TOKEN|PASSWORD|PASSWD|SECRET|CREDENTIAL|_KEY$|_AUTH$|USERNAME", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ExecutionFacts:
    """What `FORGE_*` variables tell; `commit_time` in seconds since 1970 (`CachedCommit.time`), `extra` e.g. FORGE_PHASE."""

    repository: str
    commit_sha: str
    commit_time: int
    run_id: str
    job_id: str
    project: str
    project_path: str
    branch: str | None = None
    tag: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)

    def variables(self) -> dict[str, str]:
        """The variables by name; what is not known is left out."""
        facts = {
            "FORGE_REPOSITORY": self.repository,
            "FORGE_COMMIT_SHA": self.commit_sha,
            "FORGE_RUN_ID": self.run_id,
            "FORGE_JOB_ID": self.job_id,
            "FORGE_PROJECT": self.project,
            "FORGE_PROJECT_PATH": self.project_path,
            "FORGE_BRANCH": self.branch,
            "FORGE_TAG": self.tag,
            "SOURCE_DATE_EPOCH": str(self.commit_time),
            **self.extra,
        }
        return {name: value for name, value in facts.items() if value is not None}


class Environments:
    """Makes the environments of tasks and artifacts on this worker."""

    def __init__(self, configuration: WorkerConfiguration) -> None:
        self._tools = configuration.cache.tools
        self._private = PrivateFolders(configuration.cache.workspace)
        self._inherited = inherited(os.environ, configuration.environment_passthrough)

    @asynccontextmanager
    async def prepared(self, facts: ExecutionFacts) -> AsyncIterator[dict[str, str]]:
        """The complete environment for one task or artifact, with private HOME and TMPDIR that end with the context."""
        tools = self._tools / facts.repository.replace("/", "--").lower()
        async with tools_in_use(tools), self._private.one() as private:
            yield {
                **self._inherited,
                **facts.variables(),
                **{name: str(tools / folder) for name, folder in TOOL_CACHES.items()},
                "CI": "true",
                "HOME": str(private / HOME),
                "TMPDIR": str(private / TMP),
            }

    async def sweep(self) -> None:
        """Remove the folders that a crashed process left."""
        await self._private.sweep()


def inherited(environment: Mapping[str, str], passthrough: Iterable[str]) -> dict[str, str]:
    """What steps get of the worker's own environment; nothing that may be a credential, nothing of `FORGE_*`."""
    patterns = (*COPIED, *passthrough)
    found = {
        name: value
        for name, value in environment.items()
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
        and not name.startswith("FORGE_")
        and not _SECRET_NAME.search(name)
        and not _USER_INFORMATION.search(value)
    }
    return {"PATH": DEFAULT_PATH, **found}
