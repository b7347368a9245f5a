"""The command group. Commands are imported when they are used, so that `forge --help` starts fast."""

import gc
import importlib
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from forge_cli.exits import Exit

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

OBJECTS_UNTIL_COLLECTION = 50_000
COMMANDS = {
    "up": "Start the embedded platform, or say that it runs.",
    "down": "Stop the embedded platform.",
    "status": "Show what of the embedded platform runs.",
    "run": "Run the pipeline of HEAD of this git repository.",
    "runs": "List runs.",
    "logs": "Print or follow the logs of a run.",
    "cancel": "Cancel a run.",
    "retry": "Make a new attempt of a run.",
    "release": "Make, show, complete and verify releases.",
    "deploy": "Deploy a release to an environment.",
    "rollback": "Go back to an earlier release.",
    "diff": "Show what a deployment would change.",
    "env": "Show what runs where, and holds on automatic deployments.",
    "init": "Write a configuration for what is in this repository.",
    "validate": "Show every problem of the configuration.",
    "discover": "Show what a run would find.",
    "render": "Render the Kubernetes resources of a project.",
    "schema": "Print the schema of configurations.",
    "plugins": "Show the installed plugins.",
    "completion": "Print the completion script of a shell.",
}


class LazyGroup(click.Group):
    """Finds a command in the module of its name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the order of their use."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"forge_cli.commands.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `forge --help`, without importing the commands."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":
        """Commands and options, without importing the commands."""
        from click.shell_completion import CompletionItem

        found = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return [*found, *click.Command.shell_complete(self, ctx, incomplete)]


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="catalyst-forge-cli", prog_name="forge")
def forge() -> None:
    """Catalyst Forge: from a commit to a running deployment."""


def main() -> NoReturn:
    """Entry point: every error becomes one clear message and an exit code of `forge_cli.exits`."""
    # Imports make many objects and no garbage: looking for it after every 700 is a sixth of a short command's time.
    gc.set_threshold(OBJECTS_UNTIL_COLLECTION)
    try:
        code = forge.main(prog_name="forge", standalone_mode=False)
    except click.exceptions.Abort:
        code = Exit.CANCELLED
    except click.ClickException as error:
        error.show()
        code = Exit.USAGE
    except BrokenPipeError:
        sys.stderr.close()
        code = Exit.FAILED
    except Exception as error:  # noqa: BLE001 - report() raises again what is no error of ours
        from forge_cli.errors import report

        code = report(error)
    # The system takes the memory back: a last search for garbage in all of it would be a sixth of the time as well.
    gc.freeze()
    sys.exit(code if isinstance(code, int) else Exit.SUCCESS)
