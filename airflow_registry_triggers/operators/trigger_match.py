# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""An operator that judges notifications by a trigger's rule."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.exceptions import AirflowSkipException

from airflow_registry_triggers.access_log.writer import log_record, push_records
from airflow_registry_triggers.access_record import AccessRecord
from airflow_registry_triggers.common.state_store import SharedStateMixin
from airflow_registry_triggers.common.templating import is_literal
from airflow_registry_triggers.exceptions import InvalidArgument, MalformedNotifications
from airflow_registry_triggers.links.access_log import AccessLogLink
from airflow_registry_triggers.matching.asset_events import notifications_of_events
from airflow_registry_triggers.matching.deduplication import Deduplicator, NullDeduplicator
from airflow_registry_triggers.matching.inputs import (
    InputItem,
    flattened,
    id_source,
    notifications_of_conf,
    numbered,
    parsed,
)
from airflow_registry_triggers.tag_rule import TagRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_registry_triggers.notification import Notification

__all__ = ["TriggerMatchOperator"]

TRIGGERED = "triggered"
UNTRIGGERED = "untriggered"
DUPLICATE = "duplicate"


class TriggerMatchOperator(SharedStateMixin, BaseOperator, SkipMixin):
    """
    Judge each notification by a rule; pass on those that trigger, skip what follows when none does.

    Each verdict is an access record with its reason. A push that this task passed on in an earlier run is
    ``duplicate``; a try that is repeated and a task that is cleared judge the same again. What is no
    notification fails the task for good, after the others were passed on.

    Without ``notifications`` it reads the asset events that began the run; or, where the run's conf has
    ``notification``, that: a test of the trigger.

    ``trigger_rule`` is ``none_failed_min_one_success``: of several sensors before it some may be skipped.

    :param trigger_name: name in the access history, default ``<dag_id>.<task_id>`` (templated)
    :param tags: at most 10 exact tags (templated)
    :param tag_regex: RE2 expression for the whole tag; ``*`` means all (templated)
    :param notifications: one notification, a list, or an upstream task's output (templated)
    :param collapse: whether only the newest push of each tag in a run is passed on
    :param retries: tries after a killed worker, default 3; Airflow's own default is none
    :param retry_delay: pause before such a try, default 5 s
    :raises ValueError: a rule that cannot work: when the Dag is parsed, where it is literal
    """

    template_fields: Sequence[str] = ("trigger_name", "tags", "tag_regex", "notifications")
    template_fields_renderers = {"notifications": "json"}
    ui_color = "#e6f4ea"
    operator_extra_links = (AccessLogLink(),)
    inherits_from_skipmixin = True

    def __init__(
        self,
        *,
        trigger_name: str | None = None,
        tags: Sequence[str] | None = None,
        tag_regex: str | None = None,
        notifications: Any = None,
        collapse: bool = False,
        retries: int | None = 3,
        retry_delay: timedelta | float = timedelta(seconds=5),
        max_active_tis_per_dag: int | None = 1,
        trigger_rule: str = "none_failed_min_one_success",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            retries=retries,
            retry_delay=retry_delay,
            trigger_rule=trigger_rule,
            max_active_tis_per_dag=max_active_tis_per_dag,
            **kwargs,
        )
        self.trigger_name = trigger_name
        self.tags = tags
        self.tag_regex = tag_regex
        self.notifications = notifications
        self.collapse = collapse
        if is_literal([tags, tag_regex]):
            TagRule(tags=tags, tag_regex=tag_regex)

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Set up a mapped match; its literal rule is checked here, as ``__init__`` is not called yet."""
        if is_literal([kwargs.get("tags"), kwargs.get("tag_regex")]):
            TagRule(tags=kwargs.get("tags"), tag_regex=kwargs.get("tag_regex"))
        kwargs.setdefault("max_active_tis_per_dag", 1)
        return super().partial(**kwargs)

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Judge; see the class."""
        rule = self._rendered_rule()
        ti = context["ti"]
        tested = notifications_of_conf(context)
        read = list(parsed(self._incoming(context, tested)))
        valid = [notification for notification, _ in read if notification is not None]
        # A test of the trigger may be the copy of a push: it is no repeat, and no push is one of it.
        memory = (
            Deduplicator(context, (self.trigger_name, self.tags, self.tag_regex))
            if tested is None
            else NullDeduplicator()
        )
        records, passed = self._judged(context, rule, valid, memory)
        for record in records:
            log_record(self.log, record)
        push_records(context, records)
        result = [notification.to_dict() for notification in passed]
        problems = [problem for _, problem in read if problem]
        if problems or not result:
            # A task that fails or skips returns nothing, and what follows reads this.
            ti.xcom_push(key="return_value", value=result)
        self._fail_if_malformed(problems, len(result))
        if not result:
            self._skip_downstream(context, len(records))
        return result

    def _rendered_rule(self) -> TagRule:
        try:
            if "None" in (self.tags, self.tag_regex):
                raise ValueError(
                    f"tags={self.tags!r}, tag_regex={self.tag_regex!r}: rendered to None as text"
                )
            return TagRule(tags=self.tags, tag_regex=self.tag_regex)
        except ValueError as error:
            raise InvalidArgument(
                f"{error} (a template gives text unless the Dag has render_template_as_native_obj=True)"
                if isinstance(self.tags, str) or self.tag_regex == "None"
                else str(error)
            ) from None

    def _incoming(self, context: Context, tested: list[Any] | None) -> list[InputItem]:
        if self.notifications is not None:
            return numbered(flattened(self.notifications), id_source(context))
        if tested is not None:
            self.log.info("the run's conf has a notification: this is a test of the trigger")
            return numbered(tested, id_source(context))
        return notifications_of_events(context)

    def _judged(
        self,
        context: Context,
        rule: TagRule,
        notifications: list[Notification],
        memory: Deduplicator | NullDeduplicator,
    ) -> tuple[list[AccessRecord], list[Notification]]:
        """Give each one's record, and those that are passed on."""
        ti = context["ti"]
        name = self.trigger_name or f"{ti.dag_id}.{ti.task_id}"
        trigger = {"name": name, "type": rule.trigger_type, "tag": rule.trigger_tag}
        verdicts = _verdicts(rule, notifications, memory)
        if self.collapse:
            _collapse(notifications, verdicts)
        records, passed = [], []
        for notification, (status, reason) in zip(notifications, verdicts, strict=True):
            if status == TRIGGERED:
                passed.append(notification.with_event(trigger=trigger))
            records.append(
                AccessRecord.of_verdict(
                    notification,
                    status_code=status,
                    reason=reason,
                    trigger_name=name,
                    rule=rule,
                    try_number=ti.try_number,
                )
            )
        memory.save()
        return records, passed

    def _fail_if_malformed(self, problems: list[str], passed: int) -> None:
        if problems:
            raise MalformedNotifications(
                f"{len(problems)} of the values that came in cannot be judged ({passed} are passed on): "
                + "; ".join(problems)
            )

    def _skip_downstream(self, context: Context, judged: int) -> None:
        ti, task = context["ti"], context["task"]
        self.log.info("none of %d notifications triggers: what follows is skipped", judged)
        group = task.get_closest_mapped_task_group()
        if group is not None:
            followers = task.get_direct_relatives(upstream=False)
            if all(follower.get_closest_mapped_task_group() is group for follower in followers):
                raise AirflowSkipException("no notification triggers")
            return  # a sibling may have some for what follows outside the group, which skips when it is empty
        if ti.map_index is not None and ti.map_index >= 0:
            return  # likewise
        self.skip(ti=ti, tasks=_followers_of_this_alone(task))


def _followers_of_this_alone(task: Any) -> list[Any]:
    """Give what follows, but for teardowns, and for what another match may have notifications for."""
    followers = {item.task_id: item for item in task.get_flat_relatives(upstream=False)}
    for item in list(followers.values()):
        others = [
            before
            for before in item.get_direct_relatives(upstream=True)
            if before.task_id != task.task_id and before.task_id not in followers and _is_match(before)
        ]
        if others:
            for spared in (item, *item.get_flat_relatives(upstream=False)):
                followers.pop(spared.task_id, None)
    return [item for item in followers.values() if not item.is_teardown]


def _is_match(task: Any) -> bool:
    kind = getattr(task, "operator_class", type(task))
    return isinstance(kind, type) and issubclass(kind, TriggerMatchOperator)


def _verdicts(
    rule: TagRule, notifications: list[Notification], memory: Deduplicator | NullDeduplicator
) -> list[tuple[str, str]]:
    """Give each one's status and reason; what triggers is remembered, collapsed later or not."""
    verdicts: list[tuple[str, str]] = []
    for notification in notifications:
        verdict = rule.judge(notification.tag)
        if not verdict.triggered:
            verdicts.append((UNTRIGGERED, verdict.reason))
        elif run := memory.passed_on_by(notification):
            verdicts.append((DUPLICATE, f"this push was passed on by run {run}"))
        else:
            verdicts.append((TRIGGERED, verdict.reason))
            memory.claim(notification)
    return verdicts


def _collapse(notifications: list[Notification], verdicts: list[tuple[str, str]]) -> None:
    """Leave only the newest of each tag triggered: the highest generation, else the last."""
    newest: dict[tuple[str, str, str], tuple[int, int]] = {}
    triggered = [position for position, (status, _) in enumerate(verdicts) if status == TRIGGERED]
    for position in triggered:
        item = notifications[position]
        key = (item.registry, item.repository, item.tag)
        newest[key] = max(newest.get(key, (-1, -1)), (item.generation or 0, position))
    kept = {position for _, position in newest.values()}
    for position in triggered:
        if position not in kept:
            verdicts[position] = (UNTRIGGERED, "a newer push of this tag is in the same run (collapse=True)")
