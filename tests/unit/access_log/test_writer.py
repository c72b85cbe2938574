# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.access_log.writer import LIST_LIMIT, AccessLog, by_xcom_key, within_limit
from airflow_registry_triggers.access_record import BODY_LEFT_OUT, AccessRecord, Status


def record(**values):
    return AccessRecord(**{"trigger_name": "prod", "status_code": "200", "trigger_log_id": "1", **values})


def large(number, **values):
    return [
        record(request_body="x" * 1000, request_headers={"h": "y" * 1000}, **values) for _ in range(number)
    ]


class TaskInstance:
    def __init__(self, failing=()):
        self.pushed, self.failing = {}, failing

    def xcom_push(self, key, value):
        if key in self.failing:
            raise ConnectionError("the XCom backend is down")
        self.pushed[key] = value


class Log:
    def __init__(self):
        self.infos, self.warnings = [], []

    def info(self, event, **fields):
        self.infos.append({"event": event, **fields})

    def warning(self, event, **fields):
        self.warnings.append({"event": event, **fields})


def test_by_xcom_key_groups_by_status():
    groups = by_xcom_key(within_limit([record(), record(status_code="500"), record(tag="b")]))
    assert set(groups) == {"access_log.200", "access_log.500"}
    assert [item["tag"] for item in groups["access_log.200"]] == ["", "b"]


def test_within_limit_with_room_keeps_everything():
    records = large(5)
    assert within_limit(records) == [item.to_dict() for item in records]


def test_within_limit_beyond_it_leaves_out_bodies_then_headers_then_counts():
    records = large(60)
    kept = within_limit(records, limit=50_000)
    assert {item["request_body"] for item in kept} == {"x" * 1000, BODY_LEFT_OUT}
    kept = within_limit(records, limit=20_000)
    assert len(json.dumps(kept)) <= 20_000
    assert all(item["request_headers"] == {} for item in kept)
    assert kept[-1]["reason"].endswith("are only in the task log: the list reached 1 MiB")
    counted = int(kept[-1]["reason"].split()[0])
    assert counted + len(kept) - 1 == 60


def test_within_limit_of_two_statuses_counts_each():
    kept = within_limit([*large(20), *large(20, status_code="500")], limit=4000)
    assert {item["status_code"] for item in kept if "more records" in item["reason"]} == {"200", "500"}
    assert len(json.dumps(kept)) <= 4000


@pytest.mark.parametrize("char", ["n", "é", "\U0001f433"])
@pytest.mark.parametrize("name", ["trigger_name", "tag", "repository", "registry", "digest", "reason"])
def test_within_limit_of_any_status_and_long_texts_stays_below_1_mib(name, char):
    statuses = [*map(str, range(100, 600)), *Status]
    long = {name: char * 20_000}
    kept = within_limit([record(**long, status_code=status) for status in statuses])
    assert len(json.dumps(kept)) <= LIST_LIMIT
    assert {item["status_code"] for item in kept} == set(statuses)


@given(st.lists(st.integers(0, 3000), max_size=40), st.integers(3000, 60_000))
def test_within_limit_of_any_records_stays_below_it_and_counts_all(sizes, limit):
    kept = within_limit([record(response_body="z" * size) for size in sizes], limit=limit)
    assert len(json.dumps(kept)) <= limit
    counted = sum(int(item["reason"].split()[0]) for item in kept if "more records" in item["reason"])
    assert counted + sum("more records" not in item["reason"] for item in kept) == len(sizes)


def test_access_log_write_logs_and_stores_each_record_once():
    ti, log = TaskInstance(), Log()
    AccessLog({"ti": ti}, log).write([record(), record(status_code="500")])
    assert [line["access_status_code"] for line in log.infos] == ["200", "500"]
    assert set(ti.pushed) == {"access_log.200", "access_log.500"}


def test_access_log_with_a_failing_backend_warns_and_stores_the_others():
    ti, log = TaskInstance(failing={"access_log.200"}), Log()
    AccessLog({"ti": ti}, log).write([record(), record(status_code="500")])
    assert set(ti.pushed) == {"access_log.500"}
    (warning,) = log.warnings
    assert (warning["xcom_key"], warning["records"]) == ("access_log.200", 1)


def test_access_log_with_hostile_text_escapes_the_line():
    ti, log = TaskInstance(), Log()
    AccessLog({"ti": ti}, log).write([record(tag="a\n::group::\u202e")])
    assert "\n" not in log.infos[0]["access_tag"]
    assert log.infos[0]["access_tag"].isascii()
