# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
A model of the notifications that polls must return, built from the registry's answers and earlier actions alone.

It does not use watermarks. For each tag it holds the digests that the consumer may have been told last: more
than one only after a process was killed between two writes, or after state was damaged.
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
    confirm_polls: int = 1

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

    def stored(self, view: View, now: Watch, announced: set[str], held: set[str]) -> None:
        """What may be stored before anything is announced has been stored."""
        self.told = self._after(view, now, announced, held)
        self.watch = now
        self.damaged = self.head_damaged = False

    def torn(self, view: View, now: Watch, announced: set[str], held: set[str]) -> None:
        """Some of that has been stored, and the process was killed."""
        after = self._after(view, now, announced, held)
        for tag in {*self.told, *after}:
            self.told[tag] = self.told.get(tag, {ABSENT}) | after.get(tag, {ABSENT})

    def handed_on(self, view: View, now: Watch, announced: set[str], held: set[str]) -> None:
        """What was announced will arrive, whatever happens from here on."""
        for tag, digest in view.digests.items():
            if digest is None or not now.covers(tag) or tag in held:
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

    def _after(self, view: View, now: Watch, announced: set[str], held: set[str]) -> dict[str, set[str]]:
        told = {tag: self._may_be(tag, now) for tag in self.told}
        for tag in {*view.listed, *self.told}:
            may_be = told.get(tag, {ABSENT})
            if tag in held:
                # After damage, or with an unknown digest, the tag has got a baseline or its push is held.
                is_baseline = self.damaged or UNKNOWN in may_be
                told[tag] = may_be | {str(view.digests[tag])} if is_baseline else may_be
            elif tag not in announced:
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


@dataclass
class Counts:
    """
    Bounds for the polls in a row that found a digest.

    :param most: polls whose answers allow a count
    :param least: polls that must have been counted by the process that runs now
    """

    digest: str
    most: int = 0
    least: int = 0


@dataclass
class Holding:
    """The model of confirm_polls and flap_limit: which pushes may or must be held."""

    flap_limit: int = 0
    counts: dict[str, Counts] = field(default_factory=dict)
    sent: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    """Generation and time of the pushes of a tag, as the process that runs now has returned them."""

    def restarted(self) -> None:
        """The process has lost its memory."""
        self.sent = {}
        self.changed()

    def changed(self) -> None:
        """Something that may start counts again has happened."""
        for counts in self.counts.values():
            counts.least = 0

    def polled(self, tag: str, view: View, verdicts: set[str | None]) -> None:
        """A poll has succeeded."""
        if tag not in view.digests and tag in view.listed:
            self.counts.get(tag, Counts("")).least = 0
            return
        digest = view.digests.get(tag)
        if digest is None:
            self.counts.pop(tag, None)
            return
        counts = self.counts.get(tag)
        if counts is None or counts.digest != digest:
            counts = self.counts[tag] = Counts(digest)
        counts.most += 1
        counts.least = counts.least + 1 if None not in verdicts else 0

    def verdicts(self, tag: str, verdicts: set[str | None], confirm_polls: int) -> set[str | None]:
        """Which verdicts are allowed, after :meth:`polled`."""
        counts = self.counts.get(tag)
        if counts is None or counts.most < confirm_polls:
            return {None}
        return verdicts | {None} if self.may_hold(tag, confirm_polls) else verdicts

    def may_hold(self, tag: str, confirm_polls: int) -> bool:
        """Whether a push of the tag may be held, after :meth:`polled`."""
        counts = self.counts.get(tag)
        if confirm_polls > 1 and (counts is None or counts.least < confirm_polls):
            return True
        return bool(self.flap_limit) and len(self.sent.get(tag, ())) >= self.flap_limit

    def returned(self, tag: str, generation: int, now: float) -> None:
        """Check that a push was allowed now, and record it."""
        sent = self.sent.setdefault(tag, [])
        if not self.flap_limit or (sent and sent[-1][0] == generation):
            return
        recent = [time for _, time in sent if now - 3600 < time <= now]
        if len(recent) >= self.flap_limit:
            assert now - recent[-1] >= 300, f"{tag} flaps and was returned after {now - recent[-1]} s"
        sent.append((generation, now))
