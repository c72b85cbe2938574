# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
What must be announced, told from nothing but what the registry answered and what was done before.

It knows nothing of watermarks. For each tag it has what the consumer may have been told last: more than one
thing only after a process was killed between two writes, or after state was damaged.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from airflow_registry_triggers.oci_names import is_referrer
from airflow_registry_triggers.tag_rule import TagRule

UNKNOWN = "there, digest not known"
ABSENT = "never told"


@dataclass(frozen=True)
class Watch:
    """How the repository is watched."""

    rule: TagRule = field(default_factory=TagRule)
    updates: bool = True
    referrers: bool = False
    accept: str = "A"

    def covers(self, tag: str) -> bool:
        return self.rule.covers(tag) and (
            self.referrers or self.rule.tags is not None or not is_referrer(tag)
        )


@dataclass(frozen=True)
class View:
    """What the registry answered in one poll."""

    listed: frozenset[str]
    """Tags on the listing's pages, or those that the rule names."""
    digests: dict[str, str | None]
    """By tag; None for a 404. What is missing was not told."""


@dataclass
class Model:
    """The consumer's side of the story."""

    first_run: str = "baseline"
    watch: Watch | None = None
    """How it was watched when that was last stored; None before the first time."""
    told: dict[str, set[str]] = field(default_factory=dict)
    damaged: bool = False
    head_damaged: bool = False

    def verdicts(self, tag: str, view: View, now: Watch) -> set[str | None]:
        """Which of ``new``, ``updated`` and None (nothing) may be said of a tag."""
        digest = view.digests.get(tag)
        if digest is None or not now.covers(tag) or self.head_damaged or self._is_baseline(tag):
            return {None}
        verdicts: set[str | None] = {None} if self.damaged else set()
        for last in self._may_be(tag, now):
            if last == ABSENT:
                verdicts.add("new")
            elif last in (UNKNOWN, digest) or not now.updates:
                verdicts.add(None)
            else:
                verdicts.add("updated")
        return verdicts

    def stored(self, view: View, now: Watch, announced: set[str]) -> None:
        """What may be stored before anything is announced has been stored."""
        self.told = self._after(view, now, announced)
        self.watch = now
        self.damaged = self.head_damaged = False

    def torn(self, view: View, now: Watch, announced: set[str]) -> None:
        """Some of that has been stored, and the process was killed."""
        after = self._after(view, now, announced)
        for tag in {*self.told, *after}:
            self.told[tag] = self.told.get(tag, {ABSENT}) | after.get(tag, {ABSENT})

    def handed_on(self, view: View, now: Watch, announced: set[str]) -> None:
        """What was announced will arrive, whatever happens from here on."""
        for tag, digest in view.digests.items():
            if digest is None or not now.covers(tag):
                continue
            if tag in announced or (now.updates and self.told.get(tag, {ABSENT}) != {ABSENT}):
                self.told[tag] = {digest}

    def _is_baseline(self, tag: str) -> bool:
        if self.watch is None:
            return self.first_run == "baseline"
        return not self.watch.covers(tag)

    def _may_be(self, tag: str, now: Watch) -> set[str]:
        may_be = self.told.get(tag, {ABSENT})
        before = self.watch
        if before and (before.accept != now.accept or (now.updates and not before.updates)):
            return {last if last == ABSENT else UNKNOWN for last in may_be}
        return set(may_be)

    def _after(self, view: View, now: Watch, announced: set[str]) -> dict[str, set[str]]:
        told = {tag: self._may_be(tag, now) for tag in self.told}
        for tag in {*view.listed, *self.told}:
            may_be = told.get(tag, {ABSENT})
            if tag not in announced:
                told[tag] = self._after_baseline(tag, view, now, may_be)
        return told

    def _after_baseline(self, tag: str, view: View, now: Watch, may_be: set[str]) -> set[str]:
        seen = tag in view.digests
        digest = view.digests.get(tag)
        if tag not in view.listed or not now.covers(tag):
            return may_be | {ABSENT, UNKNOWN} if self.damaged else may_be
        if digest and (self.damaged or self._is_baseline(tag) or UNKNOWN in may_be):
            return {digest}
        if self.damaged:
            return may_be | {ABSENT, UNKNOWN}
        if self._is_baseline(tag) and not seen:
            return {UNKNOWN}
        return may_be
