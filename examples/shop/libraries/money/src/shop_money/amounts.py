"""Reads, writes and divides amounts."""

import re

AMOUNT = re.compile(r"(-?)(\d{1,12})(?:\.(\d{2}))?")


class AmountError(ValueError):
    """A text that is no amount."""


def parse(text: str) -> int:
    """Cents of an amount such as `12`, `12.50` or `-0.99`."""
    match = AMOUNT.fullmatch(text)
    if match is None:
        raise AmountError(f"{text!r} is no amount: write it like 12.50")
    sign, whole, cents = match.groups()
    total = int(whole) * 100 + int(cents or 0)
    return -total if sign else total


def euros(cents: int) -> str:
    """The amount as people write it."""
    whole, rest = divmod(abs(cents), 100)
    return f"{'-' if cents < 0 else ''}{whole}.{rest:02d}"


def split(cents: int, parts: int) -> list[int]:
    """Divides an amount without losing a cent: the first parts get the cents that are left over."""
    each, over = divmod(cents, parts)
    return [each + 1 if index < over else each for index in range(parts)]
