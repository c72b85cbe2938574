# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from semver import Version

from airflow_registry_triggers.version_range import VersionRange, parse_version

RULES = Path(__file__).parents[2] / "../shared/rules.md"

NUMBER = st.integers(0, 3)
PRE_RELEASE = st.sampled_from(["0", "1", "01a", "alpine", "rc.1", "rc.2", "rc.10", "-", "rc.1.0"])
VERSIONS = st.builds(Version, NUMBER, NUMBER, NUMBER, st.none() | PRE_RELEASE)
GRID = [
    Version(*numbers, prerelease)
    for numbers in product(range(5), repeat=3)
    for prerelease in ("0", "0.0", "1", "rc.1", "rc.1.0", None)
]


def comparisons(operators=("", "=", ">=", ">", "<", "<=", "~", "^", "!="), prereleases=PRE_RELEASE):
    def written(operator, numbers, prerelease):
        text = ".".join(map(str, numbers))
        if prerelease and (len(numbers) == 3 or operator in ("", "=", ">=", "~", "^")):
            text += f"-{prerelease}"
        return operator + text

    numbers = st.lists(NUMBER, min_size=1, max_size=3)
    return st.builds(written, st.sampled_from(operators), numbers, st.none() | prereleases)


def table_rows():
    """Read the rows of the examples in the specification: range, result, version."""
    text = RULES.read_text().partition("## 4.")[2].partition("## 5.")[0]
    for line in text.splitlines():
        if not line.startswith("| `"):
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        given_range = cells[0].strip("`").replace("\\|", "|")
        for result, cell in zip(("in_range", "out_of_range", "pre_release"), cells[1:], strict=True):
            for version in filter(None, cell.split(", ")):
                yield given_range, version, result


def not_versions():
    text = RULES.read_text().partition("these are `not_a_version`:")[2].partition("\n")[0]
    return re.findall("`([^`]+)`", text)


def test_check_with_the_specified_decisions_returns_each():
    rows = list(table_rows())
    wrong = [row for row in rows if VersionRange(row[0]).check(parse_version(row[1])) != row[2]]
    assert len(rows) > 80
    assert wrong == []


def test_parse_version_of_the_specified_texts_returns_none():
    texts = not_versions()
    assert len(texts) > 10
    assert [text for text in texts if parse_version(text) is not None] == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v",
        "1.2.3\n",
        " 1.2.3",
        "1.2.3+b1",
        "\uff11.2.3",
        "\u0661.2.3",
        "1" * 128,
        "1.2." + "3" * 125,
        "\ud800",
    ],
)
def test_parse_version_of_other_text_returns_none(text):
    assert parse_version(text) is None


def test_parse_version_of_128_characters_returns_version():
    assert parse_version("1.2." + "3" * 124).patch == int("3" * 124)


@given(VERSIONS)
def test_parse_version_with_and_without_v_returns_equal_versions(version):
    assert parse_version(str(version)) == parse_version(f"v{version}") == version


@given(VERSIONS, VERSIONS)
def test_check_of_any_two_versions_orders_them_like_the_library(version, bound):
    expected = {
        ">=": version >= bound,
        ">": version > bound,
        "<=": version <= bound,
        "<": version < bound,
        "=": version == bound,
        "!=": version != bound,
    }
    for operator, matches in expected.items():
        if operator == "<" and str(bound) == "0.0.0-0":
            continue
        # The second comparison matches every version and admits pre-releases.
        result = VersionRange(f"{operator}{bound} *-0").check(version)
        assert (result == "in_range") is matches, operator


def same_block(operator, numbers, version):
    """Return True if the version has the numbers that the comparison keeps."""
    if operator == "~":
        kept = min(len(numbers), 2)
    elif operator == "^":
        kept = next((at + 1 for at, number in enumerate(numbers) if number), len(numbers))
    else:
        kept = len(numbers)
    return (version.major, version.minor, version.patch)[:kept] == tuple(numbers[:kept])


@given(st.sampled_from(["", "=", "~", "^"]), st.lists(NUMBER, min_size=1, max_size=3), VERSIONS)
def test_check_of_a_block_keeps_its_leading_numbers(operator, numbers, version):
    text = operator + ".".join(map(str, numbers))
    start = Version(*[*numbers, 0, 0][:3])
    if operator in ("", "=") and len(numbers) == 3:
        inside = version == start
    else:
        inside = same_block(operator, numbers, version) and version >= start
    expected = "out_of_range"
    if inside:
        expected = "in_range" if version.prerelease is None else "pre_release"
    assert VersionRange(text).check(version) == expected


@pytest.mark.parametrize("text", ["*", "x", "X", "*.*", "x.x.x", "=*", ">=*", "<=*", "~*", "^*", "^ *"])
def test_check_of_any_release_matches_each_release(text):
    results = {VersionRange(text).check(version) for version in GRID if version.prerelease is None}
    assert results == {"in_range"}
    assert VersionRange(text).check(Version(0, 0, 0, "rc.1")) == "pre_release"


@given(VERSIONS)
def test_check_of_any_version_matches_each_version(version):
    assert VersionRange("*-0").check(version) == "in_range"


@given(comparisons(), comparisons(), VERSIONS)
def test_check_of_alternatives_matches_if_one_matches(first, second, version):
    try:
        ranges = [VersionRange(first), VersionRange(second), VersionRange(f"{first} || {second}")]
    except ValueError:
        return
    one, other, both = (item.check(version) for item in ranges)
    order = ["out_of_range", "pre_release", "in_range"]
    assert both == max(one, other, key=order.index)


@given(comparisons(), comparisons(), VERSIONS)
def test_check_of_two_comparisons_matches_if_both_match(first, second, version):
    try:
        one, other, both = VersionRange(first), VersionRange(second), VersionRange(f"{first}, {second}")
    except ValueError:
        return
    matches = all(item.check(version) != "out_of_range" for item in (one, other))
    assert (both.check(version) != "out_of_range") is matches


BOUNDS = comparisons(("", ">=", ">", "<", "<=", "~", "^"), st.sampled_from(["0", "1", "rc.1"]))


@settings(max_examples=60)
@given(st.lists(BOUNDS, min_size=1, max_size=2))
def test_range_that_no_version_satisfies_is_rejected(parts):
    try:
        alone = [VersionRange(part) for part in parts]
    except ValueError:
        alone = []
    admits = any("-" in part for part in parts)
    # The grid has the least version above each bound that is generated.
    satisfied = [
        version
        for version in GRID
        if (admits or version.prerelease is None)
        and all(part.check(version) != "out_of_range" for part in alone)
    ]
    if alone and satisfied:
        assert VersionRange(" ".join(parts)).check(satisfied[0]) == "in_range"
    else:
        with pytest.raises(ValueError, match="no version satisfies"):
            VersionRange(" ".join(parts))


@pytest.mark.parametrize(
    "text",
    [">1.2.3-0 <1.2.3", ">1.2.3-rc <1.2.3-rc.1", "<0.0.0-1", ">=1.2.3 <=1.2.3", "!=1", "!=1.2.3 !=1.2.4"],
)
def test_range_that_admits_a_single_version_is_accepted(text):
    VersionRange(text)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (">= 1.2  <2", ">=1.2 <2"),
        (">=1.2,<2", ">=1.2 <2"),
        (">=1.2 , <2", ">=1.2 <2"),
        (" >=v1.2 <v2.0 ", ">=1.2 <2.0"),
        ("1.X||2.*.*", "1 || 2"),
        ("^1.x-0", ">=1.0.0-0 <2"),
        ("*-rc.1", ">=0.0.0-rc.1"),
        ("1.2-rc.1", ">=1.2.0-rc.1 <1.3"),
        ("^0.0.0", "0.0.0"),
        ("^0.0-0", ">=0.0.0-0 <0.1"),
    ],
)
def test_range_in_another_notation_is_equal(text, same):
    one, other = VersionRange(text), VersionRange(same)
    assert [one.check(version) for version in GRID] == [other.check(version) for version in GRID]


MISSING = "a comparison is missing. Write a range such as '>=1.2 <2'."
SUCH_AS = "is not a comparison. Write one such as >=1.2, <2, ^1.2, ~1.2.3, 1.x or !=1.4.0."
HYPHEN = "hyphen ranges are not supported. Write"
PRE = "write three numbers before the pre-release, for example"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", MISSING),
        ("  ", MISSING),
        ("1||", MISSING),
        ("||1", MISSING),
        ("1|| ||2", MISSING),
        (">=1,,<2", MISSING),
        (">=1,<2,", MISSING),
        (",1", MISSING),
        (">=1.2<2", f"'>=1.2<2' {SUCH_AS}"),
        ("~>1", f"'~>1' {SUCH_AS}"),
        ("==1", f"'==1' {SUCH_AS}"),
        ("=>1", f"'=>1' {SUCH_AS}"),
        ("> =1", f"'> =1' {SUCH_AS}"),
        ("1.2.3.4", f"'1.2.3.4' {SUCH_AS}"),
        ("01.2", f"'01.2' {SUCH_AS}"),
        (">= 01", f"'>= 01' {SUCH_AS}"),
        ("1.2.3+b1", f"'1.2.3+b1' {SUCH_AS}"),
        ("1.2.3-01", f"'1.2.3-01' {SUCH_AS}"),
        ("1.2.3-", f"'1.2.3-' {SUCH_AS}"),
        ("1.2-a..b", f"'1.2-a..b' {SUCH_AS}"),
        ("latest", f"'latest' {SUCH_AS}"),
        ("v*", f"'v*' {SUCH_AS}"),
        ("vv1", f"'vv1' {SUCH_AS}"),
        ("V1", f"'V1' {SUCH_AS}"),
        (">=", f"'>=' {SUCH_AS}"),
        ("1 | 2", f"'|' {SUCH_AS}"),
        ("1.2\t<2", f"'1.2\\t<2' {SUCH_AS}"),
        ("\uff11", f"'\\uff11' {SUCH_AS}"),
        (">=1 - <2", f"'-' {SUCH_AS}"),
        ("1" * 129, f"'{'1' * 129}' {SUCH_AS}"),
        ("1 - 2", f"{HYPHEN} '>=1 <=2'."),
        ("0.1 || 1.2.3 - 2.x", f"{HYPHEN} '>=1.2.3 <=2.x'."),
        ("1-0 - 2-0", f"{HYPHEN} '>=1-0 <=2.0.0-0'."),
        ("1.x.3", "a number follows x. Write '1.x'."),
        (">=*.1", "a number follows *. Write '>=*'."),
        ("x.x.1", "a number follows x. Write 'x'."),
        (">*", "no version satisfies '>*'. Write '*' to match every release."),
        ("< x", "no version satisfies '< x'. Write '*' to match every release."),
        ("!=*", "no version satisfies '!=*'. Write '*' to match every release."),
        (">1.2-0", f"{PRE} '>1.2.0-0'."),
        ("<2-0", f"{PRE} '<2.0.0-0'."),
        ("<=1-0", f"{PRE} '<=1.0.0-0'."),
        ("!=1.x-0", f"{PRE} '!=1.0.0-0'."),
        (">*-0", f"{PRE} '>0.0.0-0'."),
        (">2 <1", "no version satisfies '>2 <1'."),
        ("^1 ||  >2 <1 ", "no version satisfies '>2 <1'."),
        (">1.2.3 <1.2.4", "no version satisfies '>1.2.3 <1.2.4'."),
        (">=1.2 <1.2 !=3", "no version satisfies '>=1.2 <1.2 !=3'."),
        (">=2.0.0-0 <2", "no version satisfies '>=2.0.0-0 <2'."),
        ("<0", "no version satisfies '<0'."),
        ("<0.0.0", "no version satisfies '<0.0.0'."),
        ("<0.0.0-0", "no version satisfies '<0.0.0-0'."),
    ],
)
def test_range_with_a_fault_raises_its_text(text, fault):
    with pytest.raises(ValueError) as error:
        VersionRange(text)
    assert str(error.value) == f"semver={text!a}: {fault}"


@pytest.mark.parametrize("value", [1, 1.2, ["1"], b"1"])
def test_range_that_is_not_text_raises(value):
    with pytest.raises(ValueError, match="expected text"):
        VersionRange(value)


@given(st.text(max_size=30) | st.text("0123456789.<>=~^!|,-vxX* rc", max_size=20))
def test_range_of_any_text_is_valid_or_raises_an_error_with_the_text(text):
    try:
        accepted = VersionRange(text)
    except ValueError as error:
        assert str(error).startswith(f"semver={text!a}: ")
        assert str(error).isascii()
        return
    assert accepted.check(Version(1, 2, 3)) in ("in_range", "out_of_range")


@pytest.mark.parametrize(
    ("text", "version", "advice"),
    [
        (">=1.2 <2", "1.3.0-alpine", "Add -0 to a bound to match both, for example >=1.2-0."),
        ("<3 ^1.2", "1.3.0-rc", "Add -0 to a bound to match both, for example ^1.2-0."),
        ("^3 || 1.x", "1.3.0-rc", "Add -0 to a bound to match both, for example 1.x-0."),
        ("<2.0.0", "2.0.0-rc.1", "Add *-0 to match both, for example <2.0.0 *-0."),
        (">1.2", "1.3.1-rc.1", "Add *-0 to match both, for example >1.2 *-0."),
    ],
)
def test_pre_release_advice_of_a_range_names_a_comparison(text, version, advice):
    assert VersionRange(text).pre_release_advice(version) == advice


@given(st.lists(comparisons(), min_size=1, max_size=3), VERSIONS)
def test_pre_release_advice_when_followed_makes_the_version_match(parts, version):
    try:
        given_range = VersionRange(" ".join(parts))
    except ValueError:
        return
    if given_range.check(version) != "pre_release":
        return
    example = given_range.pre_release_advice(str(version)).rpartition("for example ")[2].removesuffix(".")
    followed = [part if f"{part}-0" != example else example for part in parts]
    changed = example if example.endswith(" *-0") else " ".join(followed)
    assert VersionRange(changed).check(version) == "in_range"
