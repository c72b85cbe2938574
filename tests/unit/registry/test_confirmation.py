# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The count of polls that agree on a digest."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.registry.confirmation import Confirmations


def counted(*polls):
    """Record polls; each is the digest of the tag, None if it is absent, or "?" if it could not be read."""
    counts, seen = Confirmations(), []
    for digest in polls:
        counts.record({"v1": digest} if digest not in (None, "?") else {}, ["v1"] if digest == "?" else [])
        seen.append(counts.polls("v1"))
    return seen


def test_record_of_the_same_digest_counts_polls_in_a_row():
    assert counted("a", "a", "a") == [1, 2, 3]


def test_record_of_another_digest_starts_again():
    assert counted("a", "a", "b", "a", "a") == [1, 2, 1, 1, 2]


def test_record_of_an_absent_tag_starts_again():
    assert counted("a", "a", None, "a") == [1, 2, 0, 1]


def test_record_of_a_tag_that_could_not_be_read_keeps_the_count():
    assert counted("a", "?", "a") == [1, 1, 2]


def test_to_dict_of_many_tags_keeps_the_500_highest_counts():
    counts = Confirmations()
    counts.record({"seen": "a"}, [])
    counts.record({"seen": "a", **{f"t{number}": "a" for number in range(900)}}, [])
    stored = json.loads(json.dumps(counts.to_dict()))
    assert len(stored) == 500
    assert Confirmations.from_dict(stored).polls("seen") == 2


@given(
    st.none() | st.integers() | st.lists(st.text())
    | st.dictionaries(st.text(max_size=3), st.lists(st.none() | st.integers() | st.text(max_size=3), max_size=3))
)  # fmt: skip
def test_from_dict_of_any_value_returns_counts(value):
    assert Confirmations.from_dict(value).polls("never") == 0
