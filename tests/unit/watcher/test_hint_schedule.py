# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The times of the polls that hints cause."""

from __future__ import annotations

import itertools
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.watcher.hint_schedule import HintSchedule


def polls(schedule: HintSchedule, until: float, hints: dict[float, set[str]]) -> list[tuple[float, set[str]]]:
    """Run the clock: add hints at their times, poll whenever the schedule says so."""
    found, waiting, now = [], sorted(hints), 0.0
    while True:
        now = max(now, min([schedule.next_at, *waiting[:1]]))
        if now > until:
            return found
        if waiting and waiting[0] <= now:
            schedule.add(hints[waiting.pop(0)], now)
        if tags := schedule.pop_due(now):
            found.append((now, set(tags)))


def test_hint_schedule_of_one_hint_polls_at_once_after_1_s_and_after_4_s() -> None:
    assert polls(HintSchedule(), 100, {10.0: {"v1"}}) == [(10.0, {"v1"}), (11.0, {"v1"}), (14.0, {"v1"})]


def test_hint_schedule_with_a_new_hint_restarts_the_repeats() -> None:
    times = [at for at, _ in polls(HintSchedule(), 100, {10.0: {"v1"}, 12.0: {"v1"}})]
    assert times == [10.0, 11.0, 12.0, 13.0, 16.0]


def test_hint_schedule_with_two_tags_shares_polls() -> None:
    found = polls(HintSchedule(), 100, {10.0: {"v1"}, 11.0: {"v2"}})
    assert found == [
        (10.0, {"v1"}),
        (11.0, {"v1", "v2"}),
        (12.0, {"v2"}),
        (14.0, {"v1"}),
        (15.0, {"v2"}),
    ]


@given(st.lists(st.tuples(st.floats(0, 60), st.sampled_from("abc")), min_size=1, max_size=60))
def test_hint_schedule_under_any_hints_polls_once_a_second_and_each_tag_after_its_last_hint(
    given_hints,
) -> None:
    hints: dict[float, set[str]] = {}
    for at, tag in given_hints:
        hints.setdefault(at, set()).add(tag)
    found = polls(HintSchedule(), 1000, hints)
    times = [at for at, _ in found]
    assert all(later - earlier >= 0.94 for earlier, later in itertools.pairwise(times))
    for tag in {tag for _, tag in given_hints}:
        last = max(at for at, hinted in given_hints if hinted == tag)
        after = [at for at, tags in found if tag in tags and at >= last - 0.06]
        assert last + 3.9 <= after[-1] <= last + 5.1
        assert len(after) >= 2


def test_hint_schedule_at_a_full_poll_drops_what_is_due_and_keeps_the_repeats() -> None:
    schedule = HintSchedule()
    schedule.add({"v1"}, 10.0)
    schedule.full_poll_begins(10.0)
    assert schedule.pop_due(10.0) == frozenset()
    assert schedule.next_at == 11.0
    schedule.full_poll_begins(20.0)
    assert schedule.next_at == inf


def test_hint_schedule_of_a_held_tag_polls_it_once_at_its_time() -> None:
    schedule = HintSchedule()
    schedule.hold({"v1": 300.0, "v2": 400.0})
    assert polls(schedule, 350, {10.0: {"v1"}}) == [
        (10.0, {"v1"}),
        (11.0, {"v1"}),
        (14.0, {"v1"}),
        (300.0, {"v1"}),
    ]
    assert schedule.next_at == 400.0
    schedule.hold({})
    assert schedule.next_at == inf


def test_hint_schedule_at_a_full_poll_drops_the_held_tags_that_are_due() -> None:
    schedule = HintSchedule()
    schedule.hold({"v1": 300.0, "v2": 400.0})
    schedule.full_poll_begins(350.0)
    assert schedule.next_at == 400.0


def test_hint_schedule_for_all_tags_is_a_full_poll_1_s_later_at_most_once_in_30_s() -> None:
    schedule = HintSchedule()
    schedule.add({"*"}, 10.0)
    assert schedule.full_poll_at == 11.0
    assert schedule.next_at == inf
    schedule.full_poll_begins(11.0)
    assert schedule.full_poll_at == inf
    schedule.add({"*"}, 12.0)
    assert schedule.full_poll_at == 41.0
    schedule.full_poll_begins(20.0)
    assert schedule.full_poll_at == 41.0, "the poll at 20 may precede the push"


def test_hint_schedule_for_all_tags_just_before_the_full_poll_makes_another_one() -> None:
    schedule = HintSchedule()
    schedule.add({"*"}, 10.0)
    schedule.add({"*"}, 10.98)
    assert schedule.full_poll_at == 11.0, "the second hint does not postpone the poll of the first"
    schedule.full_poll_begins(11.0)
    assert schedule.full_poll_at == 41.0, "the poll at 11 may precede the push of the second hint"
    schedule.full_poll_begins(41.0)
    assert schedule.full_poll_at == inf


def test_hint_schedule_at_a_full_poll_just_before_the_one_for_all_tags_keeps_it() -> None:
    schedule = HintSchedule()
    schedule.add({"*"}, 10.0)
    schedule.full_poll_begins(10.97)
    assert schedule.full_poll_at == 11.0


@given(st.lists(st.floats(0, 120), min_size=1, max_size=60))
def test_hint_schedule_under_any_hints_for_all_tags_polls_after_each_of_them(hinted) -> None:
    schedule, waiting, began = HintSchedule(), sorted(hinted), []
    while waiting or schedule.full_poll_at < inf:
        if waiting and waiting[0] < schedule.full_poll_at:
            schedule.add({"*"}, waiting.pop(0))
        else:
            began.append(schedule.full_poll_at)
            schedule.full_poll_begins(began[-1])
    for at in hinted:
        answered_at = next(poll for poll in began if poll >= at + 1.0)
        assert answered_at <= at + 31.0, "a stream of hints does not postpone the poll"
    assert all(later - earlier >= 29.999 for earlier, later in itertools.pairwise(began))
