# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Which tags trigger, and why another does not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_registry_triggers.oci_names import is_tag

__all__ = ["MAX_TAGS", "TagRule", "Verdict"]

MAX_TAGS = 10
"""Tags a list may hold, as in the trigger rules of the registries this follows."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What a rule says of a tag.

    :param triggered: whether the tag triggers
    :param reason: one sentence that says why
    """

    triggered: bool
    reason: str


class TagRule:
    """
    Which tags trigger: all, a list of at most 10 exact tags, or an expression the whole tag must match.

    Expressions are RE2 (linear time whatever the tag); a bare ``*`` means all. The rule is checked here and
    the expression compiled at once, so a rule that cannot work is an error before anything is asked of it.

    :param tags: exact tags, at most 10
    :param tag_regex: RE2 expression for the whole tag
    :raises ValueError: both at once, an empty list, more than 10, a repeated or impossible tag, a bad
        expression
    """

    __slots__ = ("_pattern", "tag_regex", "tags")

    def __init__(self, tags: Sequence[str] | None = None, tag_regex: str | None = None) -> None:
        if tags is not None and tag_regex is not None:
            raise ValueError(f"tags={tags!r} and tag_regex={tag_regex!r}: give one of them, not both")
        self.tags: tuple[str, ...] | None = None if tags is None else _checked_tags(tags)
        self.tag_regex = tag_regex
        self._pattern = None if tag_regex is None else _compiled(tag_regex)

    def __repr__(self) -> str:
        return f"TagRule(tags={list(self.tags) if self.tags else None!r}, tag_regex={self.tag_regex!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TagRule) and (self.tags, self.tag_regex) == (other.tags, other.tag_regex)

    def __hash__(self) -> int:
        return hash((self.tags, self.tag_regex))

    @property
    def trigger_type(self) -> str:
        """``ALL``, ``TAG_LIST`` or ``TAG_REG_EXP``, as registries name them."""
        if self.tags is not None:
            return "TAG_LIST"
        return "ALL" if self.tag_regex is None else "TAG_REG_EXP"

    @property
    def trigger_tag(self) -> str:
        """The tags with commas between them, the expression, or nothing for ``ALL``."""
        return ",".join(self.tags) if self.tags is not None else self.tag_regex or ""

    def covers(self, tag: str) -> bool:
        """Tell whether the tag triggers, without a reason: the hot path of a poll."""
        if self.tags is not None:
            return tag in self.tags
        # No registry can hold a tag outside ASCII, and RE2 cannot be asked about a lone surrogate.
        return self._pattern is None or (tag.isascii() and self._pattern.fullmatch(tag) is not None)

    def judge(self, tag: str) -> Verdict:
        """
        Judge a tag.

        :param tag: the tag that was pushed
        """
        triggered = self.covers(tag)
        shown = ascii(tag)
        if self.tags is not None:
            listed = ", ".join(self.tags)
            reason = f"{shown} is listed" if triggered else f"{shown} is not among the tags {listed}"
        elif self._pattern is None:
            reason = "every push triggers"
        elif triggered:
            reason = f"{shown} matches {self.tag_regex}"
        else:
            reason = f"{shown} does not match {self.tag_regex} (the whole tag must match)"
        return Verdict(triggered, reason)


def _checked_tags(tags: Sequence[str]) -> tuple[str, ...]:
    if isinstance(tags, str) or not isinstance(tags, Sequence):
        raise ValueError(f"tags={tags!r}: expected a list of tags, such as ['latest']")
    if not tags:
        raise ValueError("tags=[]: an empty list matches nothing; leave tags out to let every push trigger")
    if len(tags) > MAX_TAGS:
        raise ValueError(f"{len(tags)} tags: at most {MAX_TAGS} may be listed; use tag_regex for more")
    for tag in tags:
        if not is_tag(tag):
            raise ValueError(
                f"tags: {tag!r} cannot be a tag; one has 1 to 128 of A-Z a-z 0-9 _ . - "
                "and begins with none of . and -"
            )
    repeated = sorted({tag for tag in tags if tags.count(tag) > 1})
    if repeated:
        raise ValueError(f"tags: {', '.join(repeated)} is listed more than once; list each tag once")
    return tuple(tags)


def _compiled(expression: str) -> Any:
    if not isinstance(expression, str):
        raise ValueError(f"tag_regex={expression!r}: expected text, such as 'release-v.*'")
    if not expression:
        raise ValueError("tag_regex='': an empty expression matches nothing; leave it out to match every tag")
    if expression == "*":
        return None
    # Imported here: a Dag file without an expression never loads the extension module.
    import re2

    options = re2.Options()
    options.log_errors = False  # RE2 would write to stderr
    try:
        return re2.compile(expression, options=options)
    except UnicodeEncodeError:
        raise ValueError(f"tag_regex={expression!a}: not valid Unicode text") from None
    except re2.error as error:
        detail = error.args[0] if error.args else error
        text = detail.decode(errors="replace") if isinstance(detail, bytes) else str(detail)
        raise ValueError(
            f"tag_regex={expression!r}: {text}. RE2 syntax is wanted, without look-around and back-references"
        ) from None
