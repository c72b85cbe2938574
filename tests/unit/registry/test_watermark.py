# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What is remembered: its size, its stored form, and what becomes of damage."""

from __future__ import annotations

import copy
import hashlib
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_registry_triggers.registry import sharding
from airflow_registry_triggers.registry import watermark as module
from airflow_registry_triggers.registry.scope import WatchScope
from airflow_registry_triggers.registry.watermark import HEAD_KEY, TagState, Watermark
from airflow_registry_triggers.registry.watermark_codec import MAX_VALUE, Entry, estimated_size, pack, unpack
from airflow_registry_triggers.tag_rule import TagRule

COVERAGE = WatchScope(TagRule(), updates=True, referrers=False, accept="abc")


def digest(text: object, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, str(text).encode()).hexdigest()}"


def stored(watermark: Watermark) -> dict[str, object]:
    return json.loads(json.dumps(watermark.to_dict()))


def size(value: object) -> int:
    return len(json.dumps(value).encode())


def filled(count: int, *, length: int = 10, generation: int = 1, epoch: str = "1" * 16) -> Watermark:
    # The salt is always the same here, so that tags are always in the same shards.
    marks = [TagState(f"{number:0{length}}", generation, digest(number)) for number in range(count)]
    return Watermark(epoch, "2" * 16, COVERAGE, ({},)).with_baseline(marks)


DIGESTS = st.one_of(
    st.none(),
    st.binary(min_size=32, max_size=32).map(lambda raw: "sha256:" + raw.hex()),
    st.binary(min_size=64, max_size=64).map(lambda raw: "sha512:" + raw.hex()),
)
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,20}", fullmatch=True)
MARKS = st.builds(TagState, TAGS, st.integers(0, 2**40), DIGESTS)
SHARDS = st.dictionaries(
    st.binary(min_size=6, max_size=6), st.tuples(st.integers(0, 2**40), DIGESTS), max_size=20
)


# Its stored form


@given(SHARDS)
def test_unpack_of_a_packed_shard_returns_it(shard: dict[bytes, Entry]) -> None:
    value = json.loads(json.dumps(pack(shard, "epoch")))
    assert unpack(value, "epoch") == shard
    assert unpack(value, "other") is None
    assert size(value) <= estimated_size(shard)


@given(st.lists(MARKS, max_size=30))
def test_watermark_after_a_round_trip_is_equal(marks: list[TagState]) -> None:
    watermark = Watermark.new(COVERAGE).with_baseline(marks)
    again = Watermark.from_dict(stored(watermark))
    assert again == watermark
    for mark in {mark.tag: mark for mark in marks}.values():
        assert again.state_of(mark.tag) == mark
    assert again.state_of("never-there") is None
    assert again.changes_since(watermark) == {}


@pytest.mark.parametrize(
    "rule", [TagRule(), TagRule(tags=["a", "b"]), TagRule(tag_regex="v.*"), TagRule(tag_regex="*")]
)
@pytest.mark.parametrize("flag", [True, False])
def test_scope_after_a_round_trip_is_equal(rule: TagRule, flag: bool) -> None:
    coverage = WatchScope(rule, flag, not flag, "x")
    assert Watermark.from_dict(stored(Watermark.new(coverage))).scope == coverage


@pytest.mark.parametrize("length", [10, 128])
@pytest.mark.parametrize("generation", [0, 1, 3])
def test_to_dict_of_10000_tags_stays_within_its_sizes(length: int, generation: int) -> None:
    values = stored(filled(10_000, length=length, generation=generation))
    assert sum(size(key) + size(value) for key, value in values.items()) < 512_000
    assert max(size(value) for value in values.values()) <= 48_000
    assert len(values) == 17


def test_to_dict_of_a_small_repository_has_two_values() -> None:
    assert list(stored(filled(100))) == ["s1.00", HEAD_KEY]


@pytest.mark.parametrize("count", [0, 1, 900, 1000, 3000])
def test_changes_since_of_one_tag_is_one_value(count: int) -> None:
    watermark = filled(count)
    for tag in ("0000000000", "new"):
        before = watermark.state_of(tag)
        after = watermark.advanced(
            [TagState(tag, before.generation + 1 if before else 1, digest("x"))], watermark.epoch
        )
        changes = after.changes_since(watermark)
        assert len(changes) == 1
        assert HEAD_KEY not in changes
        assert Watermark.from_dict({**stored(watermark), **changes}) == after


def test_keys_of_a_head_are_those_to_read() -> None:
    for count in (0, 10, 3000):
        values = stored(filled(count))
        assert set(Watermark.keys(values[HEAD_KEY])) == set(values) - {HEAD_KEY}
    for head in (
        None,
        "x",
        [],
        {},
        {"shards": 3},
        {"shards": 0},
        {"shards": -1},
        {"shards": 1 << 40},
        {"shards": True},
    ):
        assert Watermark.keys(head) == ()


def test_changes_since_of_a_grown_watermark_ends_with_the_head() -> None:
    before = filled(800)
    after = before.with_baseline([TagState(f"more{number}", 0, digest(number)) for number in range(300)])
    changes = after.changes_since(before)
    assert list(changes) == ["s2.00", "s2.01", HEAD_KEY]
    assert Watermark.obsolete_keys(changes[HEAD_KEY]) == ("s1.00",)
    assert Watermark.obsolete_keys(stored(before)[HEAD_KEY]) == ()
    assert Watermark.obsolete_keys(stored(filled(3000))[HEAD_KEY]) == ("s1.00", "s2.00", "s2.01")


def test_from_dict_after_a_kill_during_growth_is_the_older_state() -> None:
    before = filled(800)
    after = before.with_baseline([TagState(f"more{number}", 0, digest(number)) for number in range(2500)])
    values = stored(before)
    changes = list(after.changes_since(before).items())
    for key, value in changes[:-1]:
        values[key] = value
        assert Watermark.from_dict(values) == before
    values.update(dict(changes[-1:]))
    assert Watermark.from_dict(values) == after


def test_from_dict_after_a_kill_during_the_first_write_is_lost_or_empty() -> None:
    for first, lost in ((filled(2000), True), (Watermark.new(COVERAGE), False)):
        values: dict[str, object] = {}
        for key, value in list(first.to_dict().items())[:-1]:
            values[key] = value
            assert Watermark.from_dict(values) == Watermark(lost=lost)


def test_to_dict_contains_no_clear_text_of_a_tag() -> None:
    watermark = Watermark.new(COVERAGE).with_baseline([TagState("very-secret-tag", 1, digest(1))])
    assert "very-secret" not in json.dumps(watermark.to_dict())
    assert Watermark.new(COVERAGE).salt != watermark.salt


# Forward only


def test_advanced_with_an_older_generation_changes_nothing() -> None:
    watermark = Watermark.new(COVERAGE).with_baseline([TagState("a", 3, digest(1))])
    epoch = watermark.epoch
    assert watermark.advanced([TagState("a", 3, digest(2))], epoch) == watermark
    assert watermark.advanced([TagState("a", 2, digest(2))], epoch) == watermark
    assert watermark.advanced([TagState("a", 4, digest(2))], "other") == watermark
    assert watermark.advanced([TagState("a", 4, None)], epoch) == watermark
    assert watermark.advanced([TagState("a", 4, "no digest")], epoch) == watermark
    after = watermark.advanced([TagState("a", 4, digest(2))], epoch)
    assert after.state_of("a") == TagState("a", 4, digest(2))
    assert after.advanced([TagState("a", 4, digest(2))], epoch) is after
    assert Watermark().advanced([TagState("a", 1, digest(1))], "x") == Watermark()


@given(
    st.lists(
        st.builds(TagState, st.sampled_from("abc"), st.integers(0, 5), st.just(digest("x"))), max_size=20
    )
)
def test_advanced_in_any_order_ends_at_the_highest_generation(marks: list[TagState]) -> None:
    watermark = Watermark.new(COVERAGE)
    together = watermark.advanced(marks, watermark.epoch)
    one_by_one = watermark
    for mark in marks:
        one_by_one = one_by_one.advanced([mark], watermark.epoch)
    assert together == one_by_one
    for tag in {mark.tag for mark in marks}:
        assert together.state_of(tag).generation == max(mark.generation for mark in marks if mark.tag == tag)


# Damage


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from([HEAD_KEY, "s1.00", "s2.00", "s2.01", "x"])


@given(JUNK | st.dictionaries(KEYS, JUNK, max_size=4))
def test_from_dict_of_any_value_returns_a_watermark(data: object) -> None:
    watermark = Watermark.from_dict(data)
    assert watermark.epoch is None
    assert watermark.to_dict() == {}
    if not data:
        assert watermark.lost == (data is not None and data != {})


@settings(max_examples=200)
@given(st.data())
def test_from_dict_of_a_damaged_value_recognizes_the_damage(data: st.DataObject) -> None:
    watermark = filled(30)
    values = stored(watermark)
    key = data.draw(st.sampled_from(sorted(values)))
    text = json.dumps(values[key])
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(sorted(set('abcXYZ019+/"{}[],:') - {text[at]})))
    damaged = text[:at] + other + text[at + 1 :]
    try:
        values[key] = json.loads(damaged)
    except ValueError:
        values[key] = damaged
    again = Watermark.from_dict(values)
    assert again.lost or again.lost_shards == 1 or again == watermark


@pytest.mark.parametrize("damage", [None, "", {}, {"form": 0}, {"form": 2}, "corrupt", 7])
def test_from_dict_with_an_invalid_head_is_lost(damage: object) -> None:
    values = {**stored(filled(10)), HEAD_KEY: damage}
    assert Watermark.from_dict(values) == Watermark(lost=True)


def test_from_dict_with_another_form_is_lost() -> None:
    values = stored(filled(10))
    head = copy.deepcopy(values[HEAD_KEY])
    for form in (0, 2):
        changed = {key: value for key, value in {**head, "form": form}.items() if key != "check"}
        changed["check"] = module._checksum(changed)
        assert Watermark.from_dict({**values, HEAD_KEY: changed}) == Watermark(lost=True)


def test_from_dict_with_an_invalid_rule_has_no_scope() -> None:
    values = stored(Watermark.new(COVERAGE).with_baseline([TagState("a", 1, digest(1))]))
    head = {**values[HEAD_KEY], "rule": {"tag_regex": "("}}
    del head["check"]
    again = Watermark.from_dict({**values, HEAD_KEY: {**head, "check": module._checksum(head)}})
    assert again.scope is None
    assert again.state_of("a") == TagState("a", 1, digest(1))


def test_from_dict_without_a_shard_loses_only_its_tags() -> None:
    watermark = filled(3000)
    values = stored(watermark)
    del values["s4.02"]
    again = Watermark.from_dict(values)
    lost = [tag for tag in (f"{number:010}" for number in range(3000)) if again.is_lost(tag)]
    assert again.lost_shards == 1
    assert 600 < len(lost) < 900
    assert all(
        (again.state_of(tag) is None) == again.is_lost(tag) for tag in (f"{n:010}" for n in range(3000))
    )


def test_advanced_with_a_lost_shard_keeps_it_lost() -> None:
    watermark = filled(10)
    values = {HEAD_KEY: stored(watermark)[HEAD_KEY]}
    again = Watermark.from_dict(values).advanced([TagState("0000000001", 9, digest(9))], watermark.epoch)
    assert again.lost_shards == 1
    assert again.changes_since(Watermark.from_dict(values)) == {}


def test_advanced_to_more_shards_keeps_lost_tags_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharding, "MAX_VALUE", 1000)
    watermark = filled(20)
    values = stored(watermark)
    assert len(watermark.shards) > 1
    del values[Watermark.keys(values[HEAD_KEY])[1]]
    again = Watermark.from_dict(values)
    lost = {f"x{number}" for number in range(200) if again.is_lost(f"x{number}")}
    grown = again.advanced([TagState(f"x{number}", 1, digest(number)) for number in range(200)], again.epoch)
    assert len(grown.shards) > len(again.shards)
    assert {f"x{number}" for number in range(200) if grown.is_lost(f"x{number}")} == lost


def test_from_dict_with_a_shard_of_another_epoch_loses_it() -> None:
    old, new = filled(10), filled(10, epoch="3" * 16)
    assert Watermark.from_dict({**stored(old), HEAD_KEY: stored(new)[HEAD_KEY]}).lost_shards == 1


def test_advanced_step_by_step_stays_within_its_sizes() -> None:
    random.seed(3)
    watermark = Watermark.new(COVERAGE)
    for step in range(40):
        marks = [
            TagState(
                f"{step}-{number}", random.randrange(300), digest(number, random.choice(["sha256", "sha512"]))
            )
            for number in range(100)
        ]
        watermark = watermark.advanced(marks, watermark.epoch)
    assert watermark.size == 4000
    assert max(size(value) for value in watermark.to_dict().values()) <= MAX_VALUE
