"""Runs one operation of the Project component, and shows on standard error what is wrong with the configuration."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from forge_cli.configuration.component import project_component
from forge_cli.configuration.diagnostics import Reporter, show
from forge_cli.configuration.report import ValidationReport, report_lines
from forge_cli.configuration.snapshot import Snapshot
from forge_cli.exits import Exit
from forge_project import ProjectComponent
from forge_sdk.errors import ConfigurationError
from forge_sdk.models.discovery import Diagnostic

Result = TypeVar("Result")


def with_component(snapshot: Snapshot, operation: Callable[[ProjectComponent], Awaitable[Result]]) -> Result:
    """The result of `operation`; where the configuration is wrong, its problems are shown and the command ends with code 2."""

    async def run() -> Result:
        async with project_component() as component:
            return await operation(component)

    try:
        return asyncio.run(run())
    except ConfigurationError as error:
        if not error.context.get("diagnostics"):
            raise
        show(report_lines(ValidationReport.of_error(snapshot, error), snapshot), err=True)
        raise click.exceptions.Exit(Exit.USAGE) from error


def show_warnings(snapshot: Snapshot, warnings: tuple[Diagnostic, ...]) -> None:
    """Shows warnings on standard error."""
    show(Reporter(snapshot).lines(warnings, "warning"), err=True)
