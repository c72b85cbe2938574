# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What the next try of a delivery task must know: each attempt, kept over retries and clears."""

from __future__ import annotations

import json
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.access_record import BODY_LEFT_OUT, AccessRecord
from airflow_registry_triggers.common.state_store import MAX_VALUE, Store, load_chunked, save_chunked
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
    not: that is how a redelivery, which sends all again, is told from a retry, which sends what is left.

    :param store: the task's state store
    :param max_tries: of the task instance; names the round
    """

    def __init__(self, store: Store, max_tries: int) -> None:
        self._store = store
        self._round = max_tries
        self._parts = int(store.get(STATE_KEY) or 0)
        self._unwritten: deque[dict[str, Any]] = deque()
        self._flushing = threading.Lock()
        self._settled: dict[str, dict[str, Any]] = {}
        self._attempts: dict[str, list[dict[str, Any]]] = {}
        for number in range(1, self._parts + 1):
            for entry in load_chunked(store, f"{STATE_KEY}.{number}", []):
                self._note(entry)

    def is_settled(self, webhook_id: str) -> bool:
        """
        Tell whether a delivery needs no further attempt in this round.

        :param webhook_id: the delivery
        """
        return webhook_id in self._settled

    def settled_record(self, webhook_id: str) -> AccessRecord | None:
        """
        Give the record of the attempt that settled a delivery in this round.

        :param webhook_id: the delivery
        """
        entry = self._settled.get(webhook_id)
        return AccessRecord(**entry["record"]) if entry else None

    def outcome(self, webhook_id: str) -> Outcome | None:
        """
        Tell how a delivery ended in this round, None where it has not.

        :param webhook_id: the delivery
        """
        entry = self._settled.get(webhook_id)
        return Outcome(entry["outcome"]) if entry else None

    def attempts(self, webhook_id: str) -> tuple[Mapping[str, Any], ...]:
        """
        Give the attempts of a delivery so far, oldest first, the last 30.

        :param webhook_id: the delivery
        """
        return tuple(self._attempts.get(webhook_id, ())[-KEPT_ATTEMPTS:])

    def add(self, webhook_id: str, outcome: Outcome, record: AccessRecord) -> None:
        """
        Note an attempt; :meth:`flush` writes it.

        :param webhook_id: the delivery
        :param outcome: what the attempt meant
        :param record: its record
        """
        entry = {
            "id": webhook_id,
            "round": self._round,
            "outcome": outcome.value,
            "record": record.to_dict(),
            "summary": record.summary(),
        }
        self._note(entry)
        self._unwritten.append(entry)

    def flush(self) -> None:
        """Write what is new as one more part; bodies are left out where they would make it large."""
        with self._flushing:
            # Another thread may be adding.
            entries = [self._unwritten[position] for position in range(len(self._unwritten))]
            if entries:
                self._write(entries)
                for _ in entries:  # not before they are written
                    self._unwritten.popleft()

    def _write(self, entries: list[dict[str, Any]]) -> None:
        if len(json.dumps(entries)) > MAX_VALUE:
            entries = [_without_bodies(entry) for entry in entries]
        # Attempts of other tries are in the other parts.
        entries = [{**entry, "record": {**entry["record"], "attempts": []}} for entry in entries]
        save_chunked(self._store, f"{STATE_KEY}.{self._parts + 1}", entries)
        self._parts += 1
        self._store.set(STATE_KEY, self._parts)

    def _note(self, entry: dict[str, Any]) -> None:
        webhook_id = entry["id"]
        if entry["round"] == self._round and entry["outcome"] != Outcome.RETRY.value:
            attempts = self.attempts(webhook_id)
            self._settled[webhook_id] = {**entry, "record": {**entry["record"], "attempts": attempts}}
        self._attempts.setdefault(webhook_id, []).append(entry["summary"])


def _without_bodies(entry: dict[str, Any]) -> dict[str, Any]:
    record = entry["record"]
    return {**entry, "record": {**record, **{name: record[name] and BODY_LEFT_OUT for name in _BODIES}}}
