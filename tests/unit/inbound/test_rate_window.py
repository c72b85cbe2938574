# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A sliding window: never more events than the limit in any window, never fewer allowed than it permits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.inbound.rate_window import RateWindow


def test_take_over_the_limit_returns_the_seconds_until_the_oldest_leaves() -> None:
    window = RateWindow(2, 60)
    assert [window.take(at) for at in (0, 10, 20)] == [0, 0, 40]
    assert window.take(59.5) == 0.5
    assert [window.take(at) for at in (60, 61)] == [0, 9]


def test_take_with_limit_zero_never_allows_one() -> None:
    assert RateWindow(0, 60).take(5) == 60


@given(
    limit=st.integers(0, 4),
    gaps=st.lists(st.integers(0, 30), max_size=60),
    seconds=st.sampled_from([1, 10, 60]),
)
def test_take_agrees_with_a_count_of_the_last_window(limit: int, gaps: list[int], seconds: int) -> None:
    window, now, taken = RateWindow(limit, seconds), 0, []
    for gap in gaps:
        now += gap
        wait = window.take(now)
        in_window = sum(at > now - seconds for at in taken)
        assert (wait == 0) is (in_window < limit)
        if wait == 0:
            taken.append(now)
        elif limit:
            assert sum(at > now + wait - seconds for at in taken) < limit
