# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The journal of a delivery task: each attempt, stored for its retries and clears."""

from __future__ import annotations

import json
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.access_record import BODY_LEFT_OUT, AccessRecord
from airflow_registry_triggers.common.chunked_values import MAX_VALUE, Store, load_chunked, save_chunked
from airflow_registry_triggers.webhook.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DeliveryJournal"]

STATE_KEY = "delivered"
KEPT_ATTEMPTS = 30
_BODIES = ("request_body", "response_body")


class DeliveryJournal:
    """
    The attempts of one task instance, appended in parts to the task's state store.

    Airflow keeps that store over a retry and over a clear. A clear raises ``max_tries`` and a retry does
    not. That tells a clear, which sends everything again, from a retry, which sends the rest.

    The head holds the number of parts and, if it is small, the newest part itself: most deliveries store one
    attempt, and each call to the store takes 20 to 40 ms.

    :param store: the task's state store
    :param max_tries: ``max_tries`` of the task instance; counts the clears
    :param is_first_try: whether this is the task's first try, which cannot have earlier attempts: Airflow
        raises the number whenever it schedules the task. The store is not read then
    """

    def __init__(self, store: Store, max_tries: int, *, is_first_try: bool = False) -> None:
        self._store = store
        self._clear_generation = max_tries
        head = (None if is_first_try else store.get(STATE_KEY)) or {"parts": 0, "newest": []}
        self._parts: int = head["parts"]
        self._newest: list[dict[str, Any]] = head["newest"]
        self._unwritten: deque[dict[str, Any]] = deque()
        self._writing = threading.Lock()
        self._final: dict[str, dict[str, Any]] = {}
        self._attempts: dict[str, list[dict[str, Any]]] = {}
        for number in range(1, self._parts + 1):
            for entry in load_chunked(store, f"{STATE_KEY}.{number}", []):
                self._index(entry)
        for entry in self._newest:
            self._index(entry)

    @property
    def is_written(self) -> bool:
        """Whether every attempt is stored."""
        return not self._unwritten

    def is_final(self, webhook_id: str) -> bool:
        """Return True if a delivery needs no further attempt since the last clear."""
        return webhook_id in self._final

    def final_record(self, webhook_id: str) -> AccessRecord | None:
        """Return the record of the attempt that ended a delivery since the last clear."""
        entry = self._final.get(webhook_id)
        return AccessRecord(**entry["record"]) if entry else None

    def outcome(self, webhook_id: str) -> Outcome | None:
        """Return the final outcome of a delivery since the last clear, None if it has none yet."""
        entry = self._final.get(webhook_id)
        return Outcome(entry["outcome"]) if entry else None

    def attempts(self, webhook_id: str) -> tuple[Mapping[str, Any], ...]:
        """Return the last 30 attempts of a delivery, oldest first."""
        return tuple(self._attempts.get(webhook_id, ())[-KEPT_ATTEMPTS:])

    def add(self, webhook_id: str, outcome: Outcome, record: AccessRecord) -> None:
        """Add an attempt; :meth:`flush` stores it."""
        entry = {
            "id": webhook_id,
            "clear_generation": self._clear_generation,
            "outcome": outcome.value,
            "record": record.to_dict(),
            "attempt": record.to_attempt(),
        }
        self._index(entry)
        self._unwritten.append(entry)

    def flush(self) -> None:
        """
        Store the new attempts as one more part, without bodies if they would make it large.

        Attempts leave the queue only after they are stored, so that a failed write can be repeated. Another
        thread may add attempts at the same time.
        """
        with self._writing:
            entries = [self._unwritten[position] for position in range(len(self._unwritten))]
            if entries:
                self._write(entries)
                for _ in entries:
                    self._unwritten.popleft()

    def _write(self, entries: list[dict[str, Any]]) -> None:
        if len(json.dumps(entries)) > MAX_VALUE:
            entries = [_without_bodies(entry) for entry in entries]
        # Each attempt is an entry of its own, so that a record need not repeat the earlier ones.
        entries = [{**entry, "record": {**entry["record"], "attempts": []}} for entry in entries]
        is_large = len(json.dumps(entries)) > MAX_VALUE
        parts = self._parts
        for part in (self._newest, entries if is_large else []):
            if part:
                parts += 1
                save_chunked(self._store, f"{STATE_KEY}.{parts}", part)
        # The head goes last: a part that it does not count is written again.
        newest = [] if is_large else entries
        self._store.set(STATE_KEY, {"parts": parts, "newest": newest})
        self._parts, self._newest = parts, newest

    def _index(self, entry: dict[str, Any]) -> None:
        webhook_id = entry["id"]
        if entry["clear_generation"] == self._clear_generation and entry["outcome"] != Outcome.RETRY.value:
            attempts = self.attempts(webhook_id)
            self._final[webhook_id] = {**entry, "record": {**entry["record"], "attempts": attempts}}
        self._attempts.setdefault(webhook_id, []).append(entry["attempt"])


def _without_bodies(entry: dict[str, Any]) -> dict[str, Any]:
    record = entry["record"]
    return {**entry, "record": {**record, **{name: record[name] and BODY_LEFT_OUT for name in _BODIES}}}
