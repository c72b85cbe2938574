# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The rule that decides which tags trigger, with the reason for each decision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_registry_triggers.oci_names import is_tag

if TYPE_CHECKING:
    from airflow_registry_triggers.version_range import VersionRange

__all__ = ["CONDITIONS", "MAX_TAGS", "TagRule", "Verdict", "VerdictKind"]

CONDITIONS = ("tags", "tag_regex", "semver", "exclude_regex")
"""Names of the conditions; the order in which they were added."""

MAX_TAGS = 10
"""Tags in a list, as in the trigger rules of registries."""

VERSION_GROUP = "version"
"""Named group of ``tag_regex`` that the range applies to."""

VerdictKind = Literal[
    "all",
    "listed",
    "not_listed",
    "regex_match",
    "regex_mismatch",
    "in_range",
    "out_of_range",
    "pre_release",
    "not_a_version",
    "excluded",
]

_TRIGGERING_KINDS = frozenset({"all", "listed", "regex_match", "in_range"})
_EVERY_TAG = "*"
_EXCLUDES_EVERY_TAG = frozenset({_EVERY_TAG, ".*"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    Hold the decision of a rule about a tag.

    :param triggered: True if the tag triggers
    :param reason: one or two sentences that explain the decision
    :param kind: the step of the rule that decided
    """

    triggered: bool
    reason: str
    kind: VerdictKind


class TagRule:
    """
    Decide which tags trigger.

    Without a condition, every tag triggers. All conditions that are set must be true. Regular expressions
    are RE2, so the time is linear in the length of the tag.

    :param tags: exact tags, at most 10; cannot be combined with another condition
    :param tag_regex: expression for the whole tag; ``*`` means all
    :param semver: range of versions, such as ``>=1.2 <2``; applies to the group ``version`` of
        ``tag_regex`` if it has one, else to the tag
    :param exclude_regex: expression for the whole tag; a tag that matches never triggers
    :raises ValueError: a condition is not valid, or no tag can satisfy the conditions
    """

    __slots__ = ("_exclusion", "_pattern", "_range", "exclude_regex", "groups", "semver", "tag_regex", "tags")

    def __init__(
        self,
        tags: Sequence[str] | None = None,
        tag_regex: str | None = None,
        *,
        semver: str | None = None,
        exclude_regex: str | None = None,
    ) -> None:
        if tags is not None:
            _check_alone(tags, {"tag_regex": tag_regex, "semver": semver, "exclude_regex": exclude_regex})
        self.tags = None if tags is None else _checked_tags(tags)
        self.tag_regex = tag_regex
        self.semver = semver
        self.exclude_regex = exclude_regex
        self._pattern = _compile("tag_regex", tag_regex)
        self._exclusion = _compile("exclude_regex", exclude_regex)
        if exclude_regex is not None and exclude_regex in {*_EXCLUDES_EVERY_TAG, tag_regex}:
            raise ValueError(
                f"exclude_regex={exclude_regex!a} excludes every tag that the rule matches. "
                "Remove it or narrow it."
            )
        self._range = None if semver is None else _parse_range(semver)
        self.groups = _named_groups(self._pattern)

    def __repr__(self) -> str:
        return f"TagRule({', '.join(f'{name}={value!r}' for name, value in self.conditions().items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TagRule) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[object, ...]:
        return self.tags, self.tag_regex, self.semver, self.exclude_regex

    @property
    def trigger_type(self) -> str:
        """``ALL``, ``TAG_LIST``, ``TAG_REG_EXP`` or ``TAG_SEMVER``."""
        if self.tags is not None:
            return "TAG_LIST"
        if self.semver is not None:
            return "TAG_SEMVER"
        return "ALL" if self.tag_regex is None and self.exclude_regex is None else "TAG_REG_EXP"

    @property
    def trigger_tag(self) -> str:
        """The conditions in one line, empty for ``ALL``."""
        if self.tags is not None:
            return ",".join(self.tags)
        included = " and ".join(text for text in (self.semver, self.tag_regex) if text is not None)
        excluded = "" if self.exclude_regex is None else f"not {self.exclude_regex}"
        return " ".join(text for text in (included, excluded) if text)

    def conditions(self) -> dict[str, Any]:
        """Return the conditions that are set, by the name of their parameter."""
        named = {
            "tags": None if self.tags is None else list(self.tags),
            "tag_regex": self.tag_regex,
            "semver": self.semver,
            "exclude_regex": self.exclude_regex,
        }
        return {name: value for name, value in named.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """
        Return the JSON form, which is stored with a watermark.

        It has the keys ``semver`` and ``exclude_regex`` only if they are set. Another form of an unchanged
        rule would start a new baseline.
        """
        return (
            {"tags": list(self.tags)} if self.tags is not None else {"tag_regex": None, **self.conditions()}
        )

    def covers(self, tag: str) -> bool:
        """Return True if the tag triggers. Faster than :meth:`judge`."""
        return self._decide(tag)[0] in _TRIGGERING_KINDS

    def judge(self, tag: str) -> Verdict:
        """Return the decision about a tag, with its reason."""
        kind, text = self._decide(tag)
        return Verdict(kind in _TRIGGERING_KINDS, self._reason(kind, ascii(tag), text), kind)

    def group_text(self, tag: str, group: str) -> str | None:
        """
        Return the text of a named group of ``tag_regex``.

        :param group: a name in :attr:`groups`
        :return: None if the tag does not match, or if the group did not take part in the match
        """
        match = self._match(tag)
        return None if match is None else _group_text(match, self.groups[group])

    def version_text(self, tag: str) -> str | None:
        """Return the text that the range applies to: with a range the group ``version``, else the tag."""
        has_group = self.semver is not None and VERSION_GROUP in self.groups
        return self.group_text(tag, VERSION_GROUP) if has_group else tag

    def _match(self, tag: str) -> Any:
        # A tag in a registry is ASCII.
        return self._pattern.fullmatch(tag.encode()) if self._pattern and tag.isascii() else None

    def _decide(self, tag: str) -> tuple[VerdictKind, str | None]:
        """Return the kind of the decision, and the text that a version was read from."""
        if self._exclusion is not None and self._exclusion.fullmatch(tag.encode(errors="replace")):
            return "excluded", None
        if self.tags is not None:
            return "listed" if tag in self.tags else "not_listed", None
        text: str | None = tag
        if self._pattern is not None:
            match = self._match(tag)
            if match is None:
                return "regex_mismatch", None
            if self._range is not None and VERSION_GROUP in self.groups:
                text = _group_text(match, self.groups[VERSION_GROUP])
        if self._range is not None:
            return self._range.check_text(text) if text is not None else "not_a_version", text
        return "all" if self._pattern is None else "regex_match", None

    def _reason(self, kind: VerdictKind, shown: str, text: str | None) -> str:
        match kind:
            case "all" if self.exclude_regex is not None:
                return f"every push that does not match exclude_regex {self.exclude_regex} triggers"
            case "all":
                return "every push triggers"
            case "excluded":
                return f"{shown} matches exclude_regex {self.exclude_regex}"
            case "listed":
                return f"{shown} is listed"
            case "not_listed":
                return f"{shown} is not among the tags {', '.join(self.tags or ())}"
            case "regex_match":
                return f"{shown} matches {self.tag_regex}"
            case "regex_mismatch":
                return f"{shown} does not match {self.tag_regex} (the whole tag must match)"
        if text and VERSION_GROUP in self.groups:
            shown = f"{shown} (version {ascii(text)[1:-1]})"
        return f"{shown} {self._range_reason(kind, text)}"

    def _range_reason(self, kind: VerdictKind, text: str | None) -> str:
        if kind == "in_range":
            return f"is in {self.semver}"
        if kind == "out_of_range":
            return f"is not in {self.semver}"
        if kind == "pre_release" and self._range is not None and text is not None:
            advice = self._range.pre_release_advice(text)
            return f"is a pre-release, and {self.semver} matches releases only. {advice}"
        return "is not a version. A version has three numbers, for example 1.2.3 or v1.2.3."


def _check_alone(tags: Sequence[str], others: Mapping[str, Any]) -> None:
    given = [f"{name}={value!a}" for name, value in others.items() if value is not None]
    if given:
        raise ValueError(
            f"{' and '.join([f'tags={tags!a}', *given])}: tags cannot be combined with another condition. "
            "Set one of them."
        )


def _checked_tags(tags: Sequence[str]) -> tuple[str, ...]:
    if isinstance(tags, str) or not isinstance(tags, Sequence):
        raise ValueError(f"tags={tags!a}: expected a list. Write a list such as ['latest'].")
    if not tags:
        raise ValueError("tags=[]: an empty list matches no tag. Remove tags to match every tag.")
    if len(tags) > MAX_TAGS:
        raise ValueError(f"tags has {len(tags)} tags, and at most {MAX_TAGS} are allowed. Use tag_regex.")
    for tag in tags:
        if not is_tag(tag):
            raise ValueError(
                f"tags: {tag!a} is not a valid tag. Use 1 to 128 characters of A-Z a-z 0-9 _ . -, "
                "the first of them not '.' or '-'."
            )
    repeated = sorted({tag for tag in tags if tags.count(tag) > 1})
    if repeated:
        raise ValueError(f"tags: {', '.join(repeated)} is listed more than once. List each tag once.")
    return tuple(tags)


def _compile(name: str, expression: str | None) -> Any:
    """Return the compiled expression, or None if every tag matches it."""
    if expression is None:
        return None
    if not isinstance(expression, str):
        raise ValueError(f"{name}={expression!a}: expected text. Write text such as 'release-v.*'.")
    if not expression:
        without = "match every tag" if name == "tag_regex" else "exclude no tag"
        raise ValueError(f"{name}='': an empty expression matches no tag. Remove {name} to {without}.")
    if expression == _EVERY_TAG:
        return None
    # Imported here: a Dag file without an expression does not load the extension module.
    import re2

    options = re2.Options()
    options.log_errors = False  # RE2 writes to stderr otherwise
    try:
        # Bytes: re2 converts the offsets of text, which takes three times as long.
        return re2.compile(expression.encode(), options=options)
    except UnicodeEncodeError:
        raise ValueError(f"{name}={expression!a}: the text is not valid Unicode.") from None
    except re2.error as error:
        detail = error.args[0] if error.args else error
        text = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
        raise ValueError(
            f"{name}={expression!a}: {text}. Use RE2 syntax, which has no look-around and no back-references."
        ) from None


def _named_groups(pattern: Any) -> Mapping[str, int]:
    return {} if pattern is None else {name.decode(): number for name, number in pattern.groupindex.items()}


def _group_text(match: Any, number: int) -> str | None:
    text = match[number]
    return None if text is None else text.decode()


def _parse_range(semver: str) -> VersionRange:
    # Imported here: a Dag file without a range does not load the library.
    from airflow_registry_triggers.version_range import VersionRange

    return VersionRange(semver)
