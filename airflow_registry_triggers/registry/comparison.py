# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The comparison of a scan with the watermark: pushes, and tags that get a baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_registry_triggers.registry.notification_builder import Push
from airflow_registry_triggers.registry.watermark import TagState, Watermark

if TYPE_CHECKING:
    from airflow_registry_triggers.registry.recheck import Recheck
    from airflow_registry_triggers.registry.scan import ScanResult
    from airflow_registry_triggers.registry.scope import FirstRun, WatchScope

__all__ = ["Comparison", "lost_warnings", "prepared"]

_CONSEQUENCE = "The current tags are recorded as a baseline. Pushes since the last poll may be missing"


class Comparison:
    """
    Compare the registry's answers with the watermark. Unknown and absent tags change nothing.

    :param watermark: the stored watermark
    :param scope: the tags that are watched now
    :param first_run: mode of the first poll
    :param recheck: the known tags that this poll requests; None for all of them
    """

    def __init__(
        self, watermark: Watermark, scope: WatchScope, first_run: FirstRun, recheck: Recheck | None = None
    ) -> None:
        self.scope = scope
        self._recheck = recheck
        self._stored = watermark
        self._before = prepared(watermark, scope)
        # Plain values, which the garbage collector does not track: see Listing.
        self._baseline: dict[str, str | None] = {}
        self._generations: dict[str, int] = {}
        stored_scope = watermark.scope
        self._is_other_registry = stored_scope is not None and stored_scope.is_other_registry(scope)
        is_silent = watermark.epoch is None and first_run == "baseline"
        # With an order, only the greatest tag was watched.
        had_order = stored_scope is not None and stored_scope.newest is not None
        self._is_all_baseline = watermark.lost or self._is_other_registry or had_order or is_silent
        self._is_same_scope = stored_scope == scope and not watermark.lost_shards

    @property
    def is_first(self) -> bool:
        """Whether this is the first poll, without a stored watermark."""
        return self._stored.epoch is None

    @property
    def is_settled(self) -> bool:
        """Whether a poll of some tags may change the watermark: a full poll took the baseline of all."""
        return self._stored.epoch is not None and not self._stored.lost and self._is_same_scope

    @property
    def stored_tags(self) -> int:
        """Number of tags in the watermark."""
        return self._before.size

    def stored_digest(self, tag: str) -> str | None:
        """Return the digest of a tag in the watermark, None if it is not stored."""
        state = self._before.state_of(tag)
        return state.digest if state else None

    @property
    def watermark_before(self) -> Watermark:
        """The watermark that may be stored before any notification is sent."""
        generation_of = self._generations.get
        return self._before.with_baseline(
            (tag, generation_of(tag, 0), digest) for tag, digest in self._baseline.items()
        )

    def needs_digest(self, tag: str) -> bool:
        """Return True if the digest of a watched tag must be requested."""
        if self.scope.updates:
            return self._recheck is None or self._is_rechecked(tag, self._recheck)
        if self._before.state_of(tag) is not None:
            return False
        # Without a listing, only this request shows whether the tag exists.
        return self.scope.rule.tags is not None or not self._is_baseline(tag, None)

    def pushes(self, result: ScanResult) -> list[Push]:
        """
        Return the pushes, and collect the tags that get a baseline.

        :param result: the registry's answers
        """
        if self._is_all_baseline and not self._before.size:
            self._baseline = {**result.digests, **dict.fromkeys((*result.unknown, *result.not_asked))}
            return []
        pushes: list[Push] = []
        times, updates = result.times, self.scope.updates
        for tag, digest in result.digests.items():
            state = self._before.state_of(tag)
            if self._is_baseline(tag, state):
                self._add_baseline(tag, state, digest)
            elif state is None:
                pushes.append(Push(TagState(tag, 1, digest), None, times.get(tag)))
            elif updates and state.digest != digest:
                after = TagState(tag, state.generation + 1, digest)
                pushes.append(Push(after, state.digest, times.get(tag)))
        for tag in (*result.unknown, *result.not_asked):
            # The tag belongs to the baseline, its digest is not known: the first known digest is not a push.
            state = self._before.state_of(tag)
            if self._is_baseline(tag, state):
                self._add_baseline(tag, state, None)
        return pushes

    def warnings(self, repository: str) -> list[str]:
        """
        Return the warnings about lost state.

        :param repository: full name of the repository
        """
        return lost_warnings(repository, self._stored, self.scope, self._is_other_registry)

    def _is_rechecked(self, tag: str, recheck: Recheck) -> bool:
        state = self._before.state_of(tag)
        return state is None or self._is_baseline(tag, state) or recheck.needs(state)

    def _add_baseline(self, tag: str, state: TagState | None, digest: str | None) -> None:
        self._baseline[tag] = digest
        if state is not None:
            self._generations[tag] = state.generation

    def _is_baseline(self, tag: str, state: TagState | None) -> bool:
        if self._is_all_baseline or (state is not None and state.digest is None):
            return True
        stored = self._stored
        if self._is_same_scope or stored.epoch is None:
            return False
        return stored.is_lost(tag) or stored.scope is None or not stored.scope.covers(tag)


def lost_warnings(
    repository: str, stored: Watermark, scope: WatchScope, is_other_registry: bool
) -> list[str]:
    """
    Return the warnings about lost state.

    :param repository: full name of the repository
    :param stored: the stored watermark
    :param scope: the tags that are watched now
    :param is_other_registry: whether the watermark belongs to another registry
    """
    if is_other_registry and stored.scope:
        reason = f"this poll read {scope.registry}, earlier polls read {stored.scope.registry}"
        return [f"{repository}: {reason}. {_CONSEQUENCE}"]
    if not stored.lost and not stored.lost_shards:
        return []
    lost = "the stored watermark"
    if not stored.lost:
        lost = f"{stored.lost_shards} of {len(stored.shards)} parts of {lost}"
    return [f"{repository}: {lost} cannot be read. {_CONSEQUENCE}"]


def prepared(watermark: Watermark, scope: WatchScope) -> Watermark:
    """Return the watermark to compare with: it has an epoch, and no digest that cannot be compared."""
    stored_scope = watermark.scope
    if watermark.epoch is None or (stored_scope is not None and stored_scope.is_other_registry(scope)):
        return Watermark.new(scope)
    if watermark.lost_shards:
        watermark = watermark.with_new_epoch()
    if (
        stored_scope is None
        or stored_scope.accept != scope.accept
        or (scope.updates and not stored_scope.updates)
    ):
        watermark = watermark.without_digests()
    return watermark.with_scope(scope)
