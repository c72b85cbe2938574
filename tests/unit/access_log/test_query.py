# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import pytest

from airflow_registry_triggers.access_log.entries import records_of, result_of
from airflow_registry_triggers.access_log.query import InvalidFilter, Query, filter_of_tests, results_of
from airflow_registry_triggers.access_record import AccessRecord

CODES = ["200", "302", "422", "503", "timeout", "dns_error", "blocked", "dry_run", "triggered", "untriggered"]
CODES += ["duplicate", "malformed", "tls_error", "protocol_error"]


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("state", ["success", "failed", "up_for_retry", "running", None])
def test_results_of_each_result_reads_every_status_that_can_have_it(code, state):
    result = result_of({"status_code": code}, state)
    assert code in results_of([result], ())[1]


def test_results_of_with_a_status_filter_reads_only_these_statuses():
    assert results_of(["failed"], ("422", "blocked")) == (("failed",), ("422",))


def test_results_of_without_a_name_keeps_the_statuses():
    assert results_of([], ("422",)) == ((), ("422",))


def test_results_of_an_unknown_name_raises_and_names_it():
    with pytest.raises(InvalidFilter, match="result='broken' is not a result. Use one of failed, retrying"):
        results_of(["broken"], ())


@pytest.mark.parametrize(("text", "wanted"), [("", None), ("hide", False), ("only", True)])
def test_tests_of_each_text_is_its_filter(text, wanted):
    assert filter_of_tests(text) is wanted


def test_tests_of_another_text_raises():
    with pytest.raises(InvalidFilter, match="tests='yes'"):
        filter_of_tests("yes")


ENTRY = {
    "result": "failed",
    "is_test": False,
    "notification_id": "n1",
    "digest": "sha256:d",
    "trigger_name": "prod",
    "repository": "team/app",
    "tag": "v1",
}


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (Query(results=("failed", "retrying")), True),
        (Query(results=("delivered",)), False),
        (Query(tests=True), False),
        (Query(tests=False), True),
        (Query(notification_id="n1"), True),
        (Query(notification_id="n"), False),
        (Query(digest="sha256:d"), True),
        (Query(digest="sha256:"), False),
    ],
)
def test_wants_an_entry_only_if_each_filter_passes(query, wanted):
    assert query.looks_into_records
    assert query.wants(ENTRY) is wanted


def test_wants_a_record_whose_name_was_shortened_by_its_whole_name():
    name = "n" * 2000
    record = AccessRecord(trigger_name=name, status_code="200", trigger_log_id="1").to_dict()
    assert record["trigger_name"] != name
    assert Query(trigger=f"={name}").wants(record)
    assert not Query(trigger="=" + "n" * 100).wants(record)


@pytest.mark.parametrize(
    ("item", "wanted"),
    [
        ({}, ("", None, False)),
        ({"is_test": "yes", "retries_left": True, "next_try_at": None}, ("", None, False)),
        (
            {"is_test": True, "retries_left": 6, "next_try_at": "2026-01-31T00:00:00Z"},
            ("2026-01-31T00:00:00Z", 6, True),
        ),
    ],
)
def test_records_of_any_value_have_the_optional_fields(item, wanted):
    (record,) = records_of([item], "503")
    assert (record["next_try_at"], record["retries_left"], record["is_test"]) == wanted
