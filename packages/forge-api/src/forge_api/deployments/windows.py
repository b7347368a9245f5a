"""Windows in which nothing is deployed: one with two dates, or one that comes back every week."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, AwareDatetime, model_validator

from forge_sdk.models.base import ClosedModel

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEK = 7 * 24 * 60
_MOMENT = re.compile(r"(mon|tue|wed|thu|fri|sat|sun) ([01][0-9]|2[0-3]):([0-5][0-9])")


def _minute_of_week(text: str) -> int:
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError("must be a day and a time, like `fri 16:00`")
    return DAYS.index(found[1]) * 24 * 60 + int(found[2]) * 60 + int(found[3])


def _moment(text: str) -> str:
    _minute_of_week(text)
    return text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is no time zone that is known here: use a name like Europe/Berlin") from error
    return name


class FreezeWindow(ClosedModel):
    """Nothing is deployed from `start` until `end`, which have a UTC offset (`2026-12-24T00:00:00Z`)."""

    start: AwareDatetime
    end: AwareDatetime
    reason: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> "FreezeWindow":
        if self.end <= self.start:
            raise ValueError("end must be after start")
        return self

    def until(self, now: datetime) -> datetime | None:
        """The end of the window where `now` lies in it."""
        return self.end if self.start <= now < self.end else None


class WeeklyFreeze(ClosedModel):
    """Nothing is deployed each week from `weekly_start` until `weekly_end` (`fri 16:00`), in a time zone's own time."""

    weekly_start: Annotated[str, AfterValidator(_moment)]
    weekly_end: Annotated[str, AfterValidator(_moment)]
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"
    reason: str = ""

    @model_validator(mode="after")
    def _not_empty(self) -> "WeeklyFreeze":
        if self.weekly_start == self.weekly_end:
            raise ValueError("weekly_end must not be weekly_start")
        return self

    def until(self, now: datetime) -> datetime | None:
        """The end of this week's window where `now` lies in it."""
        local = now.astimezone(ZoneInfo(self.timezone)).replace(second=0, microsecond=0)
        minute = local.weekday() * 24 * 60 + local.hour * 60 + local.minute
        start, end = _minute_of_week(self.weekly_start), _minute_of_week(self.weekly_end)
        if (minute - start) % WEEK >= (end - start) % WEEK:
            return None
        return (local + timedelta(minutes=(end - minute) % WEEK)).astimezone(UTC)


Window = FreezeWindow | WeeklyFreeze
