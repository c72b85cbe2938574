# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The operator that turns the messages of a queue into hints for the watchers."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_registry_triggers.common.known_assets import triggering_events
from airflow_registry_triggers.common.state_store import STATE_ASSET, TASK_HINTS_KEY, SharedStateMixin
from airflow_registry_triggers.exceptions import InvalidArgument, MalformedNotifications
from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.hooks.watch_settings import WatchSettings
from airflow_registry_triggers.inbound.hint_row import hints_of, is_stored, merge
from airflow_registry_triggers.inbound.queues import read_queue_events
from airflow_registry_triggers.matching.asset_events import is_repository, left_out_events

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_registry_triggers.inbound.hint_row import Hints
    from airflow_registry_triggers.inbound.push_event import PushEvent

__all__ = ["RegistryHintOperator"]

MAX_WRITES = 3
"""Writes of the row: the state store has no lock, so another task may overwrite it."""


class RegistryHintOperator(SharedStateMixin, BaseOperator):
    """
    Make the watchers poll the tags that messages of a queue name.

    The messages are registries' webhooks that a queue delivered. They are not believed: the watcher polls
    each tag, and the push keeps the guarantee, whatever the queue loses or repeats. The operator returns
    ``{"repository", "tag"}`` for each hint; the tag ``*`` means all tags.

    :param registry_conn_id: the Connection of the watchers, with ``queue_hints`` (templated)
    :param bodies: one body or a list of them, in any form of a queue; default: the asset events that started
        the run (templated)
    :param retries: retries after a lost worker, default 3; Airflow's own default is 0
    :param retry_delay: pause before a retry, default 5 s
    """

    template_fields: Sequence[str] = ("registry_conn_id", "bodies")
    template_fields_renderers = {"bodies": "json"}
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        registry_conn_id: str = RegistryHook.default_conn_name,
        bodies: Any = None,
        retries: int | None = 3,
        retry_delay: timedelta | float = timedelta(seconds=5),
        max_active_tis_per_dag: int | None = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            retries=retries,
            retry_delay=retry_delay,
            max_active_tis_per_dag=max_active_tis_per_dag,
            **kwargs,
        )
        self.registry_conn_id = registry_conn_id
        self.bodies = bodies

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Create a mapped task; one instance at a time writes the row."""
        kwargs.setdefault("max_active_tis_per_dag", 1)
        return super().partial(**kwargs)

    def execute(self, context: Context) -> list[dict[str, str]]:
        """
        Store the hints; see the class.

        :raises InvalidArgument: the Connection does not allow hints of tasks
        :raises MalformedNotifications: there are messages and none of them is a known webhook
        """
        self._check_connection()
        hints = hints_of(self.registry_conn_id, self._events(context))
        if hints:
            self._store(context, hints)
        return [
            {"repository": repository, "tag": tag}
            for (_, repository), tags in hints.items()
            for tag in sorted(tags)
        ]

    def _check_connection(self) -> None:
        connection = RegistryHook.get_connection(self.registry_conn_id)
        if connection.conn_type != RegistryHook.conn_type:
            raise InvalidArgument(
                f"Connection {self.registry_conn_id!r}: queue_hints is off, because the type is "
                f"{connection.conn_type!r}. Set the type to {RegistryHook.conn_type} and queue_hints to true."
            )
        try:
            settings = WatchSettings.from_extra(connection.extra_dejson, self.registry_conn_id)
        except ValueError as error:
            raise InvalidArgument(str(error)) from None
        if not settings.queue_hints:
            raise InvalidArgument(
                f"Connection {self.registry_conn_id!r}: queue_hints is off. Set queue_hints to true."
            )

    def _events(self, context: Context) -> list[PushEvent]:
        events: list[PushEvent] = []
        problems: list[str] = []
        for payload in _payloads(context) if self.bodies is None else _as_list(self.bodies):
            of_payload, of_problems = read_queue_events(payload)
            events += of_payload
            problems += of_problems
        if problems and not events:
            raise MalformedNotifications(
                f"task {self.task_id!r} got {len(problems)} messages, and none of them is a known webhook; "
                f"{problems[0]}"
            )
        if problems:
            self.log.warning("%d messages are not known webhooks; %s", len(problems), problems[0])
        return events

    def _store(self, context: Context, hints: Hints) -> None:
        store = context["asset_state_store"][STATE_ASSET]
        for _ in range(MAX_WRITES):
            row = merge(store.get(TASK_HINTS_KEY), hints, int(time.time() * 1000))
            store.set(TASK_HINTS_KEY, row)
            if is_stored(store.get(TASK_HINTS_KEY), hints, row["seq"]):
                self.log.info("Stored hints for %d repositories", len(hints))
                return
        self.log.warning(
            "Hints were overwritten, or did not fit, %d times. The next full poll finds the pushes",
            MAX_WRITES,
        )


def _payloads(context: Context) -> list[Any]:
    events = [pair for pair in triggering_events(context) if not is_repository(pair[0])]
    own = [event.extra for _, of_asset in events for event in of_asset]
    return [*own, *(event.extra for event in left_out_events(context, [asset for asset, _ in events]))]


def _as_list(bodies: Any) -> list[Any]:
    return list(bodies) if isinstance(bodies, list | tuple) else [bodies]
