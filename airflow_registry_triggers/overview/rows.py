# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The rows of the page, as the REST route, the page and the command show them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.access_record import RETRY_NOTE
from airflow_registry_triggers.overview.instances import delivery_statuses, is_failure
from airflow_registry_triggers.overview.sentences import Sentence, ago, iso, plain
from airflow_registry_triggers.overview.states import Delivery, State, last_delivery, last_match_run
from airflow_registry_triggers.overview.watcher_rows import watcher_rows
from airflow_registry_triggers.webhook.outcome import Outcome, classify_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_registry_triggers.overview.facts import Facts, Trigger

__all__ = ["repositories_of", "row_of", "wanted_records"]


def repositories_of(trigger: Trigger) -> list[str]:
    """Return the repositories of a trigger, each once, in the order of the Dag."""
    sensors = {trigger.dag.shape.tasks[task_id].fields.get("repository") for task_id in trigger.sensors}
    found = [
        watched.repository
        for watched in trigger.dag.shape.watched
        if (watched.repository in sensors if sensors else watched.asset)
    ]
    return list(dict.fromkeys(found))


def wanted_records(trigger: Trigger, facts: Facts) -> Iterator[tuple[int, str, str]]:
    """Yield run, task and status of the records that a row shows."""
    matched, unmatched = last_match_run(trigger, facts)
    if run := max(matched, unmatched):
        yield run, trigger.task_id, "triggered" if matched == run else "untriggered"
    if (delivery := last_delivery(trigger, facts)) is not None:
        yield delivery.run, delivery.task_id, delivery.status


def row_of(
    trigger: Trigger, facts: Facts, state: State, sentence: Sentence | None, records: Any
) -> dict[str, Any]:
    """
    Return the row of a trigger.

    :param sentence: the state's sentence if no record is needed for it
    :param records: the records of :func:`wanted_records`
    """
    verdict = _verdict(trigger, facts, records)
    delivery = last_delivery(trigger, facts)
    record = _record_of(delivery, records)
    sentence = sentence or _of_records(state, facts, verdict, delivery, record)
    attempt_at = delivery.instance.next_attempt_at if delivery and delivery.instance else None
    return {
        "dag_id": trigger.dag.dag_id,
        "task_id": trigger.task_id,
        "trigger_name": trigger.name,
        **_rule(trigger),
        "repositories": repositories_of(trigger),
        "receiver": _receiver(trigger),
        "paused": trigger.dag.is_paused,
        "state": state.word,
        "problem": state.is_problem,
        "why": sentence.text(facts.now),
        "why_form": sentence.form,
        "why_times": [iso(time) for time in sentence.times],
        "last_push": _push(verdict or (record if trigger.kind == "sensor" else None)),
        "last_match": _match(verdict),
        "last_delivery": _delivery(delivery, record),
        "next_attempt_at": iso(attempt_at) if attempt_at else None,
        "runs_24h": _counts(trigger, facts),
        "watchers": list(watcher_rows(trigger, facts)),
    }


def _rule(trigger: Trigger) -> dict[str, Any]:
    task = trigger.dag.shape.tasks.get(trigger.task_id)
    try:
        rule = task.rule() if task else None
    except ValueError:
        rule = None
    is_known = rule is not None and trigger.kind != "held"
    return {
        "trigger_type": rule.trigger_type if rule and is_known else "",
        "trigger_tag": rule.trigger_tag if rule and is_known else "",
    }


def _receiver(trigger: Trigger) -> str | None:
    receivers = [trigger.dag.shape.tasks[task_id].receiver for task_id in trigger.deliveries]
    shown = list(dict.fromkeys(filter(None, receivers)))
    return ", ".join(shown) or None


def _verdict(trigger: Trigger, facts: Facts, records: Any) -> dict[str, Any] | None:
    matched, unmatched = last_match_run(trigger, facts)
    run = max(matched, unmatched)
    status = "triggered" if matched == run else "untriggered"
    return _newest(records.get((run, trigger.task_id, status), ()))


def _record_of(delivery: Delivery | None, records: Any) -> dict[str, Any] | None:
    if delivery is None:
        return None
    found = records.get((delivery.run, delivery.task_id, delivery.status), ())
    if delivery.instance is not None:
        found = [record for record in found if record["map_index"] == delivery.instance.map_index]
    return _newest(found)


def _newest(records: Any) -> dict[str, Any] | None:
    return max(records, key=lambda record: str(record["request_time"]), default=None)


def _of_records(
    state: State,
    facts: Facts,
    verdict: dict[str, Any] | None,
    delivery: Delivery | None,
    record: dict[str, Any] | None,
) -> Sentence:
    if state is State.UNTRIGGERED:
        return _why_untriggered(verdict)
    if state is State.DELIVERY and delivery is not None:
        return _why_delivery(delivery)
    return _why_ok(facts, verdict, delivery, record)


def _why_untriggered(verdict: dict[str, Any] | None) -> Sentence:
    if verdict is None:
        return Sentence("The last push does not match. Its record cannot be read.")
    return Sentence(f"{plain(verdict['tag'])} does not match: {plain(verdict['reason'])}")


_FIX = "Fix the receiver, then clear the task."


def _why_delivery(delivery: Delivery) -> Sentence:
    status = plain(delivery.status)
    if delivery.result == "retrying":
        at = delivery.instance.next_attempt_at if delivery.instance else None
        return (
            Sentence(f"{status}; the next attempt is at {{0}}.", (at,))
            if at
            else Sentence(f"{status}; the next attempt is under way.")
        )
    if delivery.result == "blocked":
        return Sentence(
            "blocked: nothing was sent. Change the URL or allow its address, then clear the task."
        )
    outcome = classify_status(int(status)) if status.isdecimal() else Outcome.RETRY
    if outcome is Outcome.RETRY:
        return Sentence(f"{status}: no attempt is left. {_FIX}")
    return Sentence(f"{status}: {'gone' if outcome is Outcome.GONE else 'rejected'}. {_FIX}")


def _why_ok(
    facts: Facts, verdict: dict[str, Any] | None, delivery: Delivery | None, record: dict[str, Any] | None
) -> Sentence:
    if delivery is None:
        if verdict is None:
            return Sentence("The last push matched. Its record cannot be read.")
        return Sentence(f"{plain(verdict['tag'])} matched {_age(verdict, facts)} ago.")
    if record is None:
        return Sentence(f"The last push was delivered ({plain(delivery.status)}).")
    done = f"{plain(record['tag'])} was delivered {_age(record, facts)} ago ({plain(delivery.status)})."
    if verdict and verdict["status_code"] == "triggered" and _time(verdict) > _time(record):
        return Sentence(
            f"{plain(verdict['tag'])} matched {_age(verdict, facts)} ago and is not sent yet; {done}"
        )
    return Sentence(done)


def _time(record: Mapping[str, Any]) -> datetime:
    try:
        time = datetime.fromisoformat(str(record["request_time"]))
    except ValueError:
        return datetime.fromtimestamp(0, UTC)
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _age(record: Mapping[str, Any], facts: Facts) -> str:
    return ago((facts.now - _time(record)).total_seconds())


def _push(record: dict[str, Any] | None) -> dict[str, Any] | None:
    if record is None:
        return None
    names = ("repository", "tag", "digest", "run_id")
    return {**{name: record[name] for name in names}, "at": record["request_time"]}


def _match(verdict: dict[str, Any] | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    return {
        "status": verdict["status_code"],
        "reason": verdict["reason"],
        "run_id": verdict["run_id"],
        "at": verdict["request_time"],
    }


def _delivery(delivery: Delivery | None, record: dict[str, Any] | None) -> dict[str, Any] | None:
    if delivery is None:
        return None
    shown = record or {}
    return {
        "status": delivery.status,
        "result": delivery.result,
        "reason": str(shown.get("reason", "")).partition(f"; {RETRY_NOTE}")[0],
        "trigger_url": shown.get("trigger_url", ""),
        "at": shown.get("request_time"),
        "run_id": shown.get("run_id"),
        "task_id": delivery.task_id,
        "map_index": shown.get("map_index", -1),
    }


def _counts(trigger: Trigger, facts: Facts) -> dict[str, int]:
    """Return the runs of 24 hours; of several receivers, the numbers of the one with the most."""
    delivered, failed = [0], [0]
    for task_id in trigger.deliveries:
        counts = delivery_statuses(facts.counts_of(trigger.dag.dag_id, task_id))
        delivered.append(sum(count.recent for status, count in counts.items() if not is_failure(status)))
        failed.append(sum(count.recent for status, count in counts.items() if is_failure(status)))
    unmatched = facts.counts_of(*trigger.key).get("untriggered")
    return {
        "delivered": max(delivered),
        "failed": max(failed),
        "untriggered": unmatched.recent if unmatched else 0,
    }
