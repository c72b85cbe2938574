# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Tests of the Retry-After header and of the dates of HTTP."""

from __future__ import annotations

import email.utils
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.http_dates import parse_retry_after
from tests.unit.webhook.cases import json_cases

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def test_parse_retry_after_of_the_shared_cases_returns_their_delay() -> None:
    cases = json_cases("retry-after.json")
    now = datetime.fromisoformat(cases["now"])
    wrong = []
    for case in cases["cases"]:
        got = parse_retry_after(case["value"], now), parse_retry_after(case["value"], now.timestamp())
        if got != (case["delay"], case["delay"]):
            wrong.append((case, got))
    assert wrong == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("007", 7),
        ("\t9 ", 9),
        ("Mon, 23 Nov 2026 12:02:00 GMT", 120),
        ("Monday, 23-Nov-26 12:02:00 GMT", 120),
        ("Mon Nov 23 12:02:00 2026", 120),
        ("Tue Dec  1 12:00:00 2026", 8 * 86400),
        ("Mon, 23 Nov 2026 12:00:60 GMT", 60),
        ("Saturday, 23-Nov-77 12:00:00 GMT", 0),
        (
            "Monday, 23-Nov-76 12:00:00 GMT",
            (datetime(2076, 11, 23, tzinfo=UTC) - NOW.replace(hour=0)).total_seconds(),
        ),
        ("Fri, 31 Dec 9999 23:59:60 GMT", None),
        ("Mon, 23 Nov 2026 12:02:00 UTC", None),
        ("Mon, 23 Nov 2026 12:02:00 +0000", None),
        ("Mon, 31 Feb 2026 12:02:00 GMT", None),
        ("mon, 23 nov 2026 12:02:00 gmt", None),
        ("Mon, 23 Nov 2026 12:02:00", None),
        ("+5", None),
        ("1_0", None),
        ("5.0", None),
        ("0x10", None),
        ("5\x00", None),
        ("5\x1b", None),
        ("5\n", None),
        ("\u0665", None),
        ("\u00b2", None),
        ("1.5", None),
        (None, None),
    ],
)
def test_parse_retry_after_returns_seconds_or_none(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOW) == seconds
    assert parse_retry_after(value, NOW.astimezone(timezone(timedelta(hours=-7)))) == seconds


def test_parse_retry_after_without_time_zone_raises() -> None:
    with pytest.raises(ValueError, match="time zone"):
        parse_retry_after("5", NOW.replace(tzinfo=None))


@given(st.one_of(st.text(), st.text("0123456789 GMTNovJan:,-").map(str)))
def test_parse_retry_after_of_any_text_is_total(value: str) -> None:
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or 0 <= seconds < 10**12


@given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_parse_retry_after_of_a_formatted_date_returns_the_difference(date: datetime) -> None:
    date = date.replace(microsecond=0)
    value = email.utils.format_datetime(date, usegmt=True)
    assert parse_retry_after(value, NOW) == max(0, (date - NOW).total_seconds())
