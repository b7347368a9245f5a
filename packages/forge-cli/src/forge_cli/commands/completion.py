"""`forge completion`: the script that makes a shell complete commands, options and projects."""

import click
from click.shell_completion import get_completion_class

from forge_cli.exits import Exit

COMPLETE_VARIABLE = "_FORGE_COMPLETE"


HELP = """Print the completion script for SHELL.

\b
bash: forge completion bash > ~/.local/share/bash-completion/completions/forge
zsh:  forge completion zsh > "${fpath[1]}/_forge"
fish: forge completion fish > ~/.config/fish/completions/forge.fish
"""


@click.command("completion", help=HELP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> int:
    """Print the script that click has for the shell."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"completion for {shell} is not available")
    click.echo(kind(context.find_root().command, {}, "forge", COMPLETE_VARIABLE).source())
    return Exit.SUCCESS
