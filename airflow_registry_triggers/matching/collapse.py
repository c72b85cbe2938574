# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Keep one notification of several in a run: of each tag, and of each image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from airflow_registry_triggers.access_record import Status
from airflow_registry_triggers.matching.verdicts import Decision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_registry_triggers.notification import Notification
    from airflow_registry_triggers.tag_rule import TagRule

__all__ = ["Collapse", "checked_collapse", "collapsed", "collapsed_images", "collapsed_tags"]

Collapse = bool | Literal["image"]
"""Whether to keep one notification of each tag, and with ``image`` then one of each image."""


def checked_collapse(value: object) -> Collapse:
    """
    Return the value unchanged.

    :raises ValueError: the value is not one of False, True and ``image``
    """
    if isinstance(value, bool):
        return value
    if value == "image":
        return "image"
    raise ValueError(f"collapse={value!a} is not valid. Use False, True or 'image'.")


def collapsed(
    mode: Collapse, rule: TagRule, notifications: Sequence[Notification], decisions: Sequence[Decision]
) -> tuple[list[Notification], list[Decision]]:
    """
    Return the notifications and the decisions with fewer of them triggered.

    The others stay claimed, so that they do not trigger in a later run either.

    :param mode: True for each tag, ``image`` for each tag and then each image
    :param rule: the rule that matched, which knows the version in a tag
    """
    left = collapsed_tags(notifications, decisions)
    if mode == "image":
        return collapsed_images(rule, notifications, left)
    return list(notifications), left


def collapsed_tags(notifications: Sequence[Notification], decisions: Sequence[Decision]) -> list[Decision]:
    """
    Return the decisions with only the newest push of each tag triggered.

    The newest push has the highest generation, or is the last one where generations are equal or unknown.
    """
    newest: dict[tuple[str, str, str], tuple[int, int]] = {}
    for position, (item, decision) in enumerate(zip(notifications, decisions, strict=True)):
        if decision.status is Status.TRIGGERED:
            key = (item.registry, item.repository, item.tag)
            newest[key] = max(newest.get(key, (-1, -1)), (item.generation or 0, position))
    kept = {position for _, position in newest.values()}
    older = Decision(Status.UNTRIGGERED, "a newer push of this tag is in the same run (collapse=True)")
    return [
        older if decision.status is Status.TRIGGERED and position not in kept else decision
        for position, decision in enumerate(decisions)
    ]


def collapsed_images(
    rule: TagRule, notifications: Sequence[Notification], decisions: Sequence[Decision]
) -> tuple[list[Notification], list[Decision]]:
    """
    Keep the greatest version of each image triggered, or its first notification if none is a version.

    The notification that is kept gets all tags of its image in ``event.tags``. A notification without a
    digest does not change.

    :param rule: the rule that matched
    """
    images: dict[tuple[str, str, str], list[int]] = {}
    for position, (item, decision) in enumerate(zip(notifications, decisions, strict=True)):
        if decision.status is Status.TRIGGERED and item.digest:
            images.setdefault((item.registry, item.repository, item.digest), []).append(position)
    left, verdicts = list(notifications), list(decisions)
    for positions in images.values():
        kept = max(positions, key=lambda position: (_version_key(rule, left[position].tag), -position))
        left[kept] = left[kept].with_event(tags=sorted({left[position].tag for position in positions}))
        for position in positions:
            if position != kept:
                verdicts[position] = _same_image(left[position].tag, left[kept].tag)
    return left, verdicts


def _same_image(tag: str, kept: str) -> Decision:
    reason = f'tag {tag!a} has the digest of {kept!a} in the same run (collapse="image")'
    return Decision(Status.UNTRIGGERED, reason)


def _version_key(rule: TagRule, tag: str) -> tuple[bool, Any]:
    """Return a key that orders versions, and anything else before them."""
    # Imported here: a Dag file that does not collapse images does not load the library.
    from airflow_registry_triggers.version_range import parse_version

    text = rule.version_text(tag)
    version = None if text is None else parse_version(text)
    return (False, 0) if version is None else (True, version)
