"""Tables whose cells are never cut: an identifier that can't be copied is worth nothing."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table

UNLIMITED = 10_000


def print_table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print aligned columns; lines longer than the terminal are wrapped by the terminal."""
    table = Table(box=None, pad_edge=False)
    for header in headers:
        table.add_column(header, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False)
    wanted = console.measure(table, options=console.options.update(max_width=UNLIMITED)).maximum
    console.width = max(console.width, wanted)
    console.print(table)
