# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The operator that matches notifications with a trigger's rule."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.exceptions import AirflowSkipException

from airflow_registry_triggers.access_log.writer import AccessLog
from airflow_registry_triggers.access_record import AccessRecord, Status
from airflow_registry_triggers.common.mapping import check_mappable, is_mapped
from airflow_registry_triggers.common.state_store import SharedStateMixin
from airflow_registry_triggers.common.templating import is_literal
from airflow_registry_triggers.exceptions import InvalidArgument, MalformedNotifications
from airflow_registry_triggers.links.access_log import AccessLogLink
from airflow_registry_triggers.matching.collapse import Collapse, checked_collapse, collapsed
from airflow_registry_triggers.matching.deduplication import Deduplicator, NullDeduplicator
from airflow_registry_triggers.matching.inputs import Inputs, read_inputs, run_mode
from airflow_registry_triggers.matching.verdicts import decide
from airflow_registry_triggers.tag_rule import CONDITIONS, TagRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_registry_triggers.matching.verdicts import Decision

__all__ = ["TriggerMatchOperator"]


class TriggerMatchOperator(SharedStateMixin, BaseOperator, SkipMixin):
    """
    Return the notifications that match a rule; skip the downstream tasks if none does.

    Each result is an access record with its reason. A push that this task processed in an earlier run is a
    ``duplicate``; a retry and a clear of the task give the same result as before. A value that is not a
    notification is logged as ``malformed``. The task fails only if it got values and none is a notification.

    Without ``notifications`` the task reads the asset events that started the run. If the run's conf has the
    key ``notification``, it reads that instead: a test of the trigger.

    ``trigger_rule`` is ``none_failed_min_one_success``: some of several sensors upstream may be skipped.

    :param trigger_name: name in the access log, default ``<dag_id>.<task_id>`` (templated)
    :param tags: at most 10 exact tags (templated)
    :param tag_regex: RE2 expression for the whole tag; ``*`` matches all (templated)
    :param semver: range of versions, such as ``>=1.2 <2`` (templated)
    :param exclude_regex: RE2 expression for tags that never match (templated)
    :param notifications: one notification, a list, or an upstream task's output (templated)
    :param collapse: True keeps only the newest push of each tag in a run; ``"image"`` then keeps one tag of
        each image, the one with the greatest version, and lists all its tags in ``event.tags``
    :param retries: retries after a lost worker, default 3; Airflow's own default is 0
    :param retry_delay: pause before a retry, default 5 s
    :raises ValueError: if a literal rule is invalid, while the Dag is parsed
    """

    template_fields: Sequence[str] = (
        "trigger_name",
        "tags",
        "tag_regex",
        "semver",
        "exclude_regex",
        "notifications",
    )
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
        semver: str | None = None,
        exclude_regex: str | None = None,
        notifications: Any = None,
        collapse: Collapse = False,
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
        self.semver = semver
        self.exclude_regex = exclude_regex
        self.notifications = notifications
        self.collapse = collapse
        _check_literal(
            tags=tags, tag_regex=tag_regex, semver=semver, exclude_regex=exclude_regex, collapse=collapse
        )

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Create a mapped match; a literal rule is checked here: ``__init__`` runs in the worker."""
        _check_literal(**{name: kwargs[name] for name in (*CONDITIONS, "collapse") if name in kwargs})
        kwargs.setdefault("max_active_tis_per_dag", 1)
        return super().partial(**kwargs)

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """
        Match the notifications; see the class.

        :raises InvalidArgument: if the rendered rule is invalid
        :raises MalformedNotifications: if there are values and none of them is a notification
        :raises TooManyToMap: if the next task is mapped over more notifications than Airflow allows
        """
        rule = self._rendered_rule()
        mode = run_mode(context)
        inputs = read_inputs(context, self.notifications)
        # A sensor returns the notification of the conf too, so an argument does not tell a test from a push.
        inputs = inputs._replace(is_test=mode.is_test)
        if inputs.is_test:
            self.log.info("The run's conf has a notification: this run tests the trigger.")
        # A test may repeat a real push: it is not a duplicate of that push, and makes no duplicate of one.
        memory = NullDeduplicator() if inputs.is_test else Deduplicator(context, self._rule_key)
        decisions = decide(rule, inputs.valid, memory)
        if self.collapse:
            notifications, decisions = collapsed(self.collapse, rule, inputs.valid, decisions)
            inputs = inputs._replace(valid=notifications)
        result = self._triggered(rule, inputs, decisions)
        check_mappable(context, len(result))
        AccessLog(context, self.log).write(self._records(context, rule, inputs, decisions))
        self._check_malformed(inputs)
        # A push is remembered only after its notification is stored for the next task. In the other order, a
        # failure between the two writes would make the push a duplicate that was never delivered.
        if self.do_xcom_push:
            context["ti"].xcom_push(key="return_value", value=result)
        memory.save()
        if not result:
            self._skip_downstream(context, len(inputs.valid))
        return result

    def _rendered_rule(self) -> TagRule:
        try:
            if empty := [name for name, value in self._conditions.items() if value == "None"]:
                raise ValueError(f"{', '.join(empty)}: rendered to the text None")
            return TagRule(**self._conditions)
        except ValueError as error:
            hint = "a template renders to text unless the Dag has render_template_as_native_obj=True"
            is_text = isinstance(self.tags, str) or "None" in self._conditions.values()
            raise InvalidArgument(
                f"task {self.task_id!r}: {error} ({hint})" if is_text else f"task {self.task_id!r}: {error}"
            ) from None

    @property
    def _conditions(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in CONDITIONS}

    @property
    def _rule_key(self) -> tuple[object, ...]:
        # Only conditions that are set: a longer key would start a new memory of the same rule.
        later = [(name, getattr(self, name)) for name in CONDITIONS[2:]]
        return self.trigger_name, self.tags, self.tag_regex, *(item for item in later if item[1] is not None)

    @property
    def _name(self) -> str:
        return self.trigger_name or f"{self.dag_id}.{self.task_id}"

    def _triggered(
        self, rule: TagRule, inputs: Inputs, decisions: Sequence[Decision]
    ) -> list[dict[str, Any]]:
        trigger = {"name": self._name, "type": rule.trigger_type, "tag": rule.trigger_tag}
        return [
            notification.with_image().with_event(trigger=trigger).to_dict()
            for notification, decision in zip(inputs.valid, decisions, strict=True)
            if decision.status is Status.TRIGGERED
        ]

    def _records(
        self, context: Context, rule: TagRule, inputs: Inputs, decisions: Sequence[Decision]
    ) -> list[AccessRecord]:
        common: dict[str, Any] = {
            "trigger_name": self._name,
            "try_number": context["ti"].try_number,
            "is_test": inputs.is_test,
        }
        results = [
            AccessRecord.of_verdict(
                notification, status_code=decision.status, reason=decision.reason, rule=rule, **common
            )
            for notification, decision in zip(inputs.valid, decisions, strict=True)
        ]
        return [
            *results,
            *(AccessRecord.of_malformed(p.id, reason=p.reason, **common) for p in inputs.problems),
        ]

    def _check_malformed(self, inputs: Inputs) -> None:
        if not inputs.problems:
            return
        number, first = len(inputs.problems), inputs.problems[0].reason
        if not inputs.valid:
            raise MalformedNotifications(
                f"task {self.task_id!r} got {number} values, and none of them is a notification; {first}"
            )
        self.log.warning(
            "%d of %d values are not notifications and were left out; %s",
            number,
            number + len(inputs.valid),
            first,
        )

    def _skip_downstream(self, context: Context, number: int) -> None:
        ti, task = context["ti"], context["task"]
        self.log.info("None of %d notifications triggers; the downstream tasks are skipped.", number)
        group = task.get_closest_mapped_task_group()
        if group is not None:
            followers = task.get_direct_relatives(upstream=False)
            if all(follower.get_closest_mapped_task_group() is group for follower in followers):
                # skip() does nothing inside a mapped task group.
                raise AirflowSkipException("no notification triggers")
            return  # another instance may trigger; a delivery outside the group skips itself if none does
        if is_mapped(ti):
            return  # likewise
        self.skip(ti=ti, tasks=_exclusive_followers(task))


def _check_literal(collapse: Any = False, **conditions: Any) -> None:
    checked_collapse(collapse)
    if is_literal(list(conditions.values())):
        TagRule(**conditions)


def _exclusive_followers(task: Any) -> list[Any]:
    """Return the downstream tasks, without teardowns and without those that follow another match too."""
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
