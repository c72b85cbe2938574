# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Read the page "Triggers": filters, order and pages."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.access_log.query import InvalidFilter
from airflow_registry_triggers.access_record import shortened
from airflow_registry_triggers.overview.queries import read_facts, read_records, read_triggers
from airflow_registry_triggers.overview.rows import repositories_of, row_of, wanted_records
from airflow_registry_triggers.overview.states import State, decide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sqlalchemy.orm import Session

    from airflow_registry_triggers.overview.facts import Facts, Trigger
    from airflow_registry_triggers.overview.sentences import Sentence

__all__ = ["Filters", "TriggerPage", "match_of", "read_page", "states_of", "trigger_of"]

_NOT_A_CURSOR = "cursor is not a next_cursor of an earlier page. Leave it out to start with the first trigger"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """
    The filters of the page.

    :param states: states to show; empty for all
    :param dag_id: only of this Dag
    :param repository: part of a repository's name; with ``=`` in front, the whole name
    :param problems: only states that need a person
    """

    states: frozenset[State] = frozenset()
    dag_id: str | None = None
    repository: str = ""
    problems: bool = False

    def wants(self, trigger: Trigger, state: State) -> bool:
        """Return True if a trigger passes the filters."""
        if (self.states and state not in self.states) or (self.problems and not state.is_problem):
            return False
        if not self.repository:
            return True
        whole, part = self.repository.removeprefix("="), self.repository.lower()
        names = repositories_of(trigger)
        return whole in names if self.repository.startswith("=") else any(part in n.lower() for n in names)


@dataclass(slots=True)
class TriggerPage:
    """
    A page of triggers, sorted by state and name.

    :param rows: rows as in the REST answer
    :param next_cursor: start of the next page; None at the end
    :param dead_keys: keys of status values whose process is dead, to be deleted
    :param counts: number of triggers in each state that pass the other filters
    :param unreadable: number of status values that cannot be read
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    next_cursor: str | None = None
    dead_keys: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    unreadable: int = 0


def states_of(names: Iterable[str]) -> frozenset[State]:
    """
    Return the states of a filter.

    :param names: words of states
    :raises InvalidFilter: a word is not a state
    """
    known = {state.word: state for state in State}
    found = set()
    for name in names:
        if name not in known:
            raise InvalidFilter(f"state={name[:40]!a} is not a state. Use one of {', '.join(known)}")
        found.add(known[name])
    return frozenset(found)


def read_page(
    session: Session,
    filters: Filters,
    *,
    limit: int | None = None,
    cursor: str | None = None,
    dag_ids: set[str] | None = None,
    unreadable: Callable[[set[str]], set[str]] | None = None,
    now: datetime | None = None,
) -> TriggerPage:
    """
    Return a page of triggers.

    :param session: session of the metadata database
    :param limit: rows of the page at most; default all
    :param cursor: start of the page; default the first trigger
    :param dag_ids: Dags that the user may read; None for all
    :param unreadable: returns the Dags of a set whose records the user may not read; they are left out
    :param now: current time; default the clock's
    :raises InvalidFilter: the cursor is not one
    """
    start = _decoded(cursor) if cursor else None
    triggers = _allowed(read_triggers(session, filters.dag_id), dag_ids, unreadable)
    if not triggers:
        return TriggerPage()
    facts = read_facts(session, triggers, now or datetime.now(UTC), filters.dag_id)
    decided = [(trigger, *decide(trigger, facts)) for trigger in triggers]
    page = TriggerPage(dead_keys=facts.dead_keys, unreadable=facts.unreadable)
    of_all_states = Filters(dag_id=filters.dag_id, repository=filters.repository)
    for trigger, state, _ in decided:
        if of_all_states.wants(trigger, state):
            page.counts[state.word] = page.counts.get(state.word, 0) + 1
    wanted = sorted((item for item in decided if filters.wants(item[0], item[1])), key=_place)
    shown = [item for item in wanted if start is None or _place(item) > start]
    if limit is not None and len(shown) > limit:
        shown = shown[:limit]
        page.next_cursor = _encoded(_place(shown[-1]))
    page.rows = _rows(session, shown, facts)
    return page


def trigger_of(session: Session, dag_id: str, task_id: str) -> Trigger | None:
    """
    Return the trigger of a task, or None.

    :param session: session of the metadata database
    """
    found = (trigger for trigger in read_triggers(session, dag_id) if trigger.task_id == task_id)
    return next(found, None)


def match_of(session: Session, dag_id: str, task_id: str, name: str) -> str:
    """
    Return the id of the match behind a record: its own task, or the match upstream of a delivery.

    :param session: session of the metadata database
    :param task_id: task that left the record
    :param name: name of the trigger in the record, for a delivery of several matches
    :return: empty if there is not exactly one
    """
    triggers = [trigger for trigger in read_triggers(session, dag_id) if trigger.kind == "match"]
    own = [trigger for trigger in triggers if trigger.task_id == task_id]
    upstream = [trigger for trigger in triggers if task_id in trigger.deliveries]
    named = [trigger for trigger in upstream if shortened(trigger.name) == name]
    found = own or named or upstream
    return found[0].task_id if len(found) == 1 else ""


Decided = "tuple[Trigger, State, Sentence | None]"


def _rows(
    session: Session, shown: list[tuple[Trigger, State, Sentence | None]], facts: Facts
) -> list[dict[str, Any]]:
    keys = {key for trigger, _, _ in shown for key in wanted_records(trigger, facts)}
    records = read_records(session, keys)
    return [row_of(trigger, facts, state, sentence, records) for trigger, state, sentence in shown]


def _allowed(
    triggers: list[Trigger],
    dag_ids: set[str] | None,
    unreadable: Callable[[set[str]], set[str]] | None,
) -> list[Trigger]:
    named = {trigger.dag.dag_id for trigger in triggers}
    allowed = named if dag_ids is None else named & dag_ids
    hidden = unreadable(allowed) if unreadable and allowed else set()
    return [trigger for trigger in triggers if trigger.dag.dag_id in allowed - hidden]


def _place(item: tuple[Trigger, State, Any]) -> tuple[int, str, str]:
    trigger, state, _ = item
    return int(state), trigger.dag.dag_id, trigger.task_id


def _encoded(place: tuple[int, str, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode()


def _decoded(text: str) -> tuple[int, str, str]:
    try:
        state, dag_id, task_id = json.loads(
            base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        )
    except (ValueError, TypeError, RecursionError):
        raise InvalidFilter(_NOT_A_CURSOR) from None
    if type(state) is not int or not isinstance(dag_id, str) or not isinstance(task_id, str):
        raise InvalidFilter(_NOT_A_CURSOR)
    return state, dag_id, task_id
