"""Reads lines such as `apple 3 0.40` and writes a receipt."""

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation

WIDTH = 32


class LineError(ValueError):
    """A line that can't be understood."""


def receipt(lines: Iterable[str]) -> str:
    """The receipt for lines of `ITEM COUNT PRICE`."""
    total, printed = Decimal(0), []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        item, count, price = _fields(number, line)
        total += count * price
        printed.append(_row(f"{count} {item}", count * price))
    return "\n".join([*printed, "-" * WIDTH, _row("total", total)])


def _fields(number: int, line: str) -> tuple[str, int, Decimal]:
    try:
        item, count, price = line.split()
        return item, int(count), Decimal(price)
    except (ValueError, InvalidOperation) as error:
        raise LineError(f"line {number}: write it like `apple 3 0.40`") from error


def _row(label: str, amount: Decimal) -> str:
    return f"{label}{amount:>{WIDTH - len(label)}.2f}"
