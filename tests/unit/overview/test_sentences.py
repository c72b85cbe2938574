# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Sentences: times, ages, and text of others that must not become part of the form."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.overview.sentences import (
    Sentence,
    ago,
    counted,
    error_text,
    iso,
    moment,
    plain,
    polled_text,
)
from airflow_registry_triggers.watcher.status_values import WatcherStatus

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)


def at(hours: int, minutes: int) -> float:
    return NOW.replace(hour=hours, minute=minutes).timestamp()


@given(st.text())
def test_sentence_of_any_text_shows_that_text(text):
    assert Sentence(plain(text)).text(NOW) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (0, "0 s"), (59.9, "59 s"), (60, "1 min"), (299, "4 min"), (3600, "1 h"), (86399, "23 h"), (90000, "1 d")],
)  # fmt: skip
def test_ago_of_an_age_has_one_unit(seconds, text):
    assert ago(seconds) == text


def test_moment_of_another_day_or_zone_is_in_utc_with_its_date():
    tokyo = timezone(timedelta(hours=9))
    assert moment(NOW.astimezone(tokyo), NOW) == "12:00"
    assert moment(NOW - timedelta(days=1), NOW) == "2026-11-25 12:00"
    assert iso(NOW.astimezone(tokyo)) == "2026-11-26T12:00:00Z"


def test_counted_of_one_has_no_plural():
    assert (counted(1, "tag"), counted(0, "tag"), counted(2, "tag")) == ("1 tag", "0 tags", "2 tags")


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"error_kind": "credentials", "note": "401: rejected", "failures": 7},
         "credentials: 401 for team/app since 10:02. 7 attempts; the next one is at 10:11."),
        ({"error_kind": "unavailable", "note": "no route", "failures": 1},
         "unavailable: no answer for team/app since 10:02. 1 attempt; the next one is at 10:11."),
        ({"error_kind": "no_such_connection", "note": "", "failures": 2},
         "no_such_connection: no such Connection for team/app since 10:02. 2 attempts; the next one is at 10:11."),
        ({"error_kind": "KeyError", "note": "{0}", "failures": 2},
         "KeyError: the poll failed for team/app since 10:02. 2 attempts; the next one is at 10:11."),
    ],
)  # fmt: skip
def test_error_text_names_kind_cause_repository_and_times(values, text):
    status = WatcherStatus(polled_at=at(10, 6), next_in_s=300.0, failing_since=at(10, 2), **values)
    assert error_text(status, "team/app").text(NOW) == text


def test_error_text_before_the_end_of_a_poll_has_no_next_attempt():
    status = WatcherStatus(error_kind="tls", failures=1)
    assert error_text(status, "a{b}").text(NOW) == "tls: no trusted TLS connection for a{b}. 1 attempt."


def test_polled_text_of_a_watcher_has_the_columns_of_the_page():
    status = WatcherStatus(polled_at=NOW.timestamp() - 12, tags=214, requests=3, next_in_s=60.0)
    assert polled_text(status, NOW) == "polled 12 s ago, 214 tags, 3 requests, every 60 s"
    full = WatcherStatus(
        NOW.timestamp(), next_in_s=1.0, tags=1, requests=1, quota_left=76, note="newest 1.5.0"
    )
    assert (
        polled_text(full, NOW)
        == "polled 0 s ago, 1 tag, 1 request, every 1 s, 76 requests left, newest 1.5.0"
    )
    assert polled_text(WatcherStatus(), NOW) == "not polled yet"
