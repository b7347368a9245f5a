"""The Project component with the plugins that are installed here."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import click

from forge_project import Evaluator, EvaluatorError, ProjectComponent
from forge_sdk.errors import PlatformError, TransientError
from forge_sdk.plugins.manager import Plugins, load_plugins

MAX_PROCESSES = 4


def installed_plugins() -> Plugins:
    """The plugins of this environment; those that can't be used are named on standard error."""
    plugins = load_plugins()
    for problem in plugins.problems:
        click.echo(f"warning: a plugin can't be used: {problem.message}", err=True)
    return plugins


@asynccontextmanager
async def project_component(plugins: Plugins | None = None) -> AsyncIterator[ProjectComponent]:
    """A component whose evaluator ends with the context."""
    async with Evaluator(processes=min(os.cpu_count() or 1, MAX_PROCESSES)) as evaluator:
        try:
            yield ProjectComponent(plugins or await _plugins_while_starting(evaluator), evaluator)
        except EvaluatorError as error:
            raise PlatformError(f"the configuration can't be evaluated: {error}") from error
        except TransientError as error:
            # Nothing of a platform is involved here, so it is not one that can't be reached.
            raise PlatformError(error.message, code=error.code, context=error.context) from error.__cause__


async def _plugins_while_starting(evaluator: Evaluator) -> Plugins:
    # Python imports the plugins while the evaluator's process starts.
    _, plugins = await asyncio.gather(evaluator.start(), asyncio.to_thread(installed_plugins))
    return plugins
