import re
import time
import uuid

from hypothesis import given
from hypothesis import strategies as st

from forge_sdk.identifiers import job_id, slug, uuid7

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,98}[A-Za-z0-9]", fullmatch=True)
projects = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", fullmatch=True)


def test_identifiers_are_version_7_and_hold_the_time():
    identifier = uuid7()
    assert (identifier.version, identifier.variant) == (7, uuid.RFC_4122)
    assert abs((identifier.int >> 80) / 1000 - time.time()) < 5


def test_identifiers_sort_as_they_were_made_and_never_repeat():
    identifiers = [uuid7() for _ in range(10_000)]
    assert identifiers == sorted(identifiers)
    assert len(set(identifiers)) == len(identifiers)


def test_identifiers_sort_although_the_clock_goes_back(monkeypatch):
    before = uuid7()
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert uuid7() > before


def test_a_job_has_the_same_id_for_every_dispatcher():
    run = uuid7()
    assert job_id(run, "ci", "test", "api") == job_id(run, "ci", "test", "api")
    assert job_id(run, "ci", "test", "api") != job_id(run, "ci", "testapi", "")
    assert job_id(run, "ci", "test", "api") != job_id(uuid7(), "ci", "test", "api")


@given(names, names, projects, st.booleans())
def test_slugs_are_dns_labels(owner, name, project, taken):
    label = slug(f"{owner}/{name}", project, taken=taken)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", label)


def test_slug_is_readable_where_it_fits_and_unique_where_not():
    assert slug("acme/Shop", "api") == "shop-api"
    long = slug("acme/shop", "a" * 63)
    assert len(long) == 63
    assert long != slug("other/shop", "a" * 63)
    assert slug("acme/shop", "api", taken=True) != slug("other/shop", "api", taken=True)
