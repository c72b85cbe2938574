# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
A count of the polls that agree on a new digest, for registries whose replicas disagree.

With ``confirm_polls=3`` a push counts once three polls in a row have found the same digest. A poll that finds
another digest, or does not find the tag, starts the count again. A poll that could not read the tag does not
change the count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

__all__ = ["Confirmations"]

_MAX_STORED = 500


class _Candidate(NamedTuple):
    """
    A digest that differs from the watermark.

    :param digest: the digest
    :param polls: polls in a row that found it
    """

    digest: str
    polls: int


class Confirmations:
    """Count for each tag the polls in a row that found its new digest."""

    def __init__(self) -> None:
        self._candidates: dict[str, _Candidate] = {}

    def __len__(self) -> int:
        return len(self._candidates)

    def record(
        self, found: Mapping[str, str], unknown: Collection[str], only: Collection[str] | None = None
    ) -> None:
        """
        Record one poll.

        :param found: new digests by tag
        :param unknown: tags that could not be read in this poll
        :param only: tags that this poll requested; None for all tags
        """
        before = self._candidates
        kept = {
            tag: candidate
            for tag, candidate in before.items()
            if tag in unknown or (only is not None and tag not in only)
        }
        for tag, digest in found.items():
            last = before.get(tag)
            polls = last.polls + 1 if last and last.digest == digest else 1
            kept[tag] = _Candidate(digest, polls)
        self._candidates = kept

    def polls(self, tag: str) -> int:
        """Return the number of polls in a row that found the tag's new digest."""
        candidate = self._candidates.get(tag)
        return candidate.polls if candidate else 0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: at most 500 tags, those with the highest counts."""
        ordered = sorted(self._candidates.items(), key=lambda item: -item[1].polls)
        return {tag: list(candidate) for tag, candidate in ordered[:_MAX_STORED]}

    @classmethod
    def from_dict(cls, data: object) -> Confirmations:
        """
        Read the JSON form. A value that cannot be read counts as no earlier poll.

        :param data: the result of :meth:`to_dict`
        """
        read = cls()
        for tag, value in data.items() if isinstance(data, Mapping) else ():
            if isinstance(value, list) and len(value) == 2:
                digest, polls = value
                if isinstance(digest, str) and type(polls) is int:
                    read._candidates[str(tag)] = _Candidate(digest, polls)
        return read
