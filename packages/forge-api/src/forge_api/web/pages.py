"""Lists in pages: an opaque cursor names where the next page starts."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Annotated, TypeVar
from uuid import UUID

from pydantic import Field

from forge_api.web.errors import validation_error
from forge_sdk.errors import PlatformError
from forge_sdk.models.base import ClosedModel

Item = TypeVar("Item")
Position = TypeVar("Position")
MAX_LIMIT = 200
MAX_INTEGER, MAX_BIGINT = 2**31 - 1, 2**63 - 1
"""What columns of the database hold."""


class PageQuery(ClosedModel):
    """Parameters of every list."""

    cursor: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    limit: int = Field(default=50, ge=1, le=MAX_LIMIT)


def cursor_position(query: PageQuery, parse: Callable[[str], Position]) -> Position | None:
    """Where the page starts, or nothing for the first page; `validation_error` for a cursor that is not ours."""
    if query.cursor is None:
        return None
    try:
        padded = query.cursor + "=" * (-len(query.cursor) % 4)
        return parse(base64.b64decode(padded, altchars=b"-_", validate=True).decode())
    except (binascii.Error, ValueError):
        raise _invalid_cursor() from None


def number_position(query: PageQuery, largest: int) -> int | None:
    """Where the page starts, for lists that are ordered by a number up to `largest`."""

    def parse(text: str) -> int:
        number = int(text)
        if not 0 <= number <= largest:
            raise ValueError(text)
        return number

    return cursor_position(query, parse)


def text_position(query: PageQuery) -> str | None:
    """Where the page starts, for lists that are ordered by a text."""

    def parse(text: str) -> str:
        if "\0" in text:
            raise ValueError(text)
        return text

    return cursor_position(query, parse)


def id_position(query: PageQuery) -> UUID | None:
    """Where the page starts, for lists that are ordered by id."""
    return cursor_position(query, UUID)


def split(items: Sequence[Item], limit: int, position: Callable[[Item], object]) -> tuple[tuple[Item, ...], str | None]:
    """The page's items of `limit + 1` that were asked for, and the cursor of the next page where there is one."""
    kept = tuple(items[:limit])
    return kept, cursor_after(position(kept[-1])) if len(items) > limit else None


def cursor_after(position: object) -> str:
    """The cursor of a page that starts after `position`."""
    return base64.urlsafe_b64encode(str(position).encode()).decode().rstrip("=")


def _invalid_cursor() -> PlatformError:
    return validation_error([{"pointer": "/cursor", "message": "is not a cursor of this list"}])
