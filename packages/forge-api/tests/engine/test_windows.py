"""Windows in which nothing is deployed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from forge_api.deployments.windows import DAYS, FreezeWindow, WeeklyFreeze, Window

FRIDAY = datetime(2026, 11, 27, 16, 0, tzinfo=UTC)
WEEKEND = WeeklyFreeze(weekly_start="fri 16:00", weekly_end="mon 08:00")
moments = st.builds("{} {:02}:{:02}".format, st.sampled_from(DAYS), st.integers(0, 23), st.integers(0, 59))


def test_a_window_with_dates_ends_before_its_end():
    window = FreezeWindow(start=FRIDAY, end=FRIDAY + timedelta(hours=1))
    assert window.until(FRIDAY) == window.end
    assert window.until(FRIDAY - timedelta(seconds=1)) is None
    assert window.until(window.end) is None


def test_a_weekly_window_goes_over_the_end_of_the_week():
    monday = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
    assert WEEKEND.until(FRIDAY) == monday
    assert WEEKEND.until(monday - timedelta(minutes=1)) == monday
    assert WEEKEND.until(monday) is None
    assert WEEKEND.until(FRIDAY - timedelta(minutes=1)) is None


def test_a_weekly_window_is_in_its_zones_own_time():
    window = WeeklyFreeze(weekly_start="fri 16:00", weekly_end="fri 18:00", timezone="Europe/Berlin")
    assert window.until(FRIDAY - timedelta(hours=1)) == FRIDAY + timedelta(hours=1)
    assert window.until(FRIDAY + timedelta(hours=1)) is None


@given(moments, moments, st.integers(0, 7 * 24 * 60 - 1))
def test_a_window_and_its_complement_fill_the_week(start, end, minute):
    if start == end:
        return
    now = FRIDAY + timedelta(minutes=minute)
    inside = WeeklyFreeze(weekly_start=start, weekly_end=end).until(now)
    outside = WeeklyFreeze(weekly_start=end, weekly_end=start).until(now)
    assert (inside is None) != (outside is None)
    assert now < (inside or outside) <= now + timedelta(days=7)


@pytest.mark.parametrize(
    "content",
    [
        {"start": "2026-12-24T00:00:00", "end": "2026-12-27T00:00:00Z"},
        {"start": "2026-12-27T00:00:00Z", "end": "2026-12-24T00:00:00Z"},
        {"weekly_start": "friday 16:00", "weekly_end": "mon 08:00"},
        {"weekly_start": "fri 24:00", "weekly_end": "mon 08:00"},
        {"weekly_start": "fri 16:00", "weekly_end": "fri 16:00"},
        {"weekly_start": "fri 16:00", "weekly_end": "mon 08:00", "timezone": "Mars/Olympus"},
        {"weekly_start": "fri 16:00", "end": "2026-12-24T00:00:00Z"},
    ],
)
def test_what_is_no_window_is_refused(content):
    with pytest.raises(ValidationError):
        TypeAdapter(Window).validate_python(content)
