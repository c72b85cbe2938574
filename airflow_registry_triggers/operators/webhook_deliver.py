# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The operator that delivers notifications as webhooks."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator, get_parsing_context
from airflow.sdk.exceptions import AirflowSkipException

from airflow_registry_triggers.access_log.writer import AccessLog
from airflow_registry_triggers.access_record import AccessRecord, RecordSummary
from airflow_registry_triggers.common.mapping import check_mappable, is_mapped
from airflow_registry_triggers.delivery.arguments import CHECKED, check_arguments
from airflow_registry_triggers.delivery.batch import DeliveryBatch
from airflow_registry_triggers.delivery.dry_run import DryRun
from airflow_registry_triggers.delivery.retry_policy import WebhookRetryPolicy
from airflow_registry_triggers.delivery.texts import batch_label
from airflow_registry_triggers.exceptions import InvalidArgument, MalformedNotifications
from airflow_registry_triggers.hooks.webhook import (
    WebhookHook,
    mask_header_secrets,
    mask_url_secrets,
)
from airflow_registry_triggers.hooks.webhook_target import WebhookTarget
from airflow_registry_triggers.links.access_log import AccessLogLink
from airflow_registry_triggers.matching.inputs import Inputs, RunMode, read_inputs, run_mode
from airflow_registry_triggers.webhook.body import REGISTRY
from airflow_registry_triggers.webhook.limits import DEFAULT_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import jinja2
    from airflow.sdk import Context
    from airflow.sdk.definitions.retry_policy import RetryPolicy

    from airflow_registry_triggers.notification import Notification
    from airflow_registry_triggers.webhook.delivery import Delivery

__all__ = ["WebhookDeliverOperator"]

SENDER = "airflow_registry_triggers.webhook.attempt"

LABEL = "{{ delivery }}"


class WebhookDeliverOperator(BaseOperator):
    """
    POST each notification to a URL. One attempt is one try of the task; Airflow retries the task.

    Up to 16 notifications are sent at a time, each with an access record of its own. A retry sends only the
    notifications without a final outcome. If you clear the task, it sends all of them again, with the same
    webhook-ids. While a retry can deliver some, the task fails and Airflow retries it. When no retry is left
    to make and receivers rejected some, the task fails without a retry.

    A value that is not a notification is logged as ``malformed``; the task fails only if it got values and
    none is a notification. Without any value the task is skipped. ``trigger_rule`` is
    ``none_failed_min_one_success``: after a failed upstream task nothing is sent.

    A run whose conf has a notification tests the trigger: it sends each webhook once, without retries. With
    ``"dry_run": true`` in the conf, everything is built and checked, and nothing is sent or stored.

    The return value is a list of summaries: id, repository, tag, digest, status_code and reason.

    :param notifications: one notification, a list, or an upstream task's output (templated)
    :param url: URL of the receiver; default the Connection's (templated)
    :param webhook_conn_id: a ``webhook`` or ``http`` Connection: URL, headers, secrets (templated)
    :param trigger_name: name in the access log for notifications without a match, default
        ``<dag_id>.<task_id>`` (templated)
    :param headers: further headers (templated)
    :param body_format: ``registry`` (the registry's own format), ``cloudevents`` (structured) or
        ``cloudevents-binary``
    :param body_template: Jinja template that renders to JSON and replaces ``body_format``; rendered for each
        notification, not by Airflow
    :param request_timeout: seconds for one attempt in all, 1 to 60, default 15
    :param success_statuses: statuses that count as delivered, in addition to 2xx
    :param retries: retries of the task, default 8
    :param retry_delay: pause after a lost worker, for which Airflow does not consult the policy; default 30 s
    :param retry_policy: the pauses between tries, default :class:`WebhookRetryPolicy`
    :raises ValueError: if a literal argument is invalid, while the Dag is parsed
    """

    template_fields: Sequence[str] = ("notifications", "url", "webhook_conn_id", "trigger_name", "headers")
    template_fields_renderers = {"notifications": "json", "headers": "json"}
    ui_color = "#fef7e0"
    operator_extra_links = (AccessLogLink(),)

    def __init__(
        self,
        *,
        notifications: Any,
        url: str | None = None,
        webhook_conn_id: str | None = None,
        trigger_name: str | None = None,
        headers: Mapping[str, str] | None = None,
        body_format: str = REGISTRY,
        body_template: str | None = None,
        request_timeout: float = DEFAULT_TIMEOUT,
        success_statuses: Sequence[int] = (),
        retries: int | None = 8,
        retry_delay: timedelta | float = timedelta(seconds=30),
        retry_policy: RetryPolicy | None = WebhookRetryPolicy(),  # noqa: B008 - it has no state
        trigger_rule: str = "none_failed_min_one_success",
        map_index_template: str | None = LABEL,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            retries=retries,
            retry_delay=retry_delay,
            retry_policy=retry_policy,
            trigger_rule=trigger_rule,
            map_index_template=map_index_template,
            **kwargs,
        )
        self.notifications = notifications
        self.url = url
        self.webhook_conn_id = webhook_conn_id
        self.trigger_name = trigger_name
        self.headers = headers
        self.body_format = body_format
        self.body_template = body_template
        self.request_timeout = request_timeout
        self.success_statuses = success_statuses
        self._batch: DeliveryBatch | None = None
        self._is_killed = False
        if url is None and webhook_conn_id is None:
            raise ValueError("the receiver is missing: set url, webhook_conn_id or both")
        check_arguments(
            url=url,
            headers=headers,
            body_format=body_format,
            body_template=body_template,
            request_timeout=request_timeout,
            success_statuses=success_statuses,
        )
        if self._is_about_to_run():
            _import_sender()

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Create a mapped delivery; literal arguments are checked here: ``__init__`` runs in the worker."""
        check_arguments(**{name: kwargs[name] for name in CHECKED if name in kwargs})
        return super().partial(**kwargs)

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """Render the templates, and register secrets with Airflow's masker before it stores the result."""
        _import_sender()
        super().render_template_fields(context, jinja_env)
        # A mapped task renders the operator that it was unmapped to.
        rendered = context["task"]
        mask_url_secrets(getattr(rendered, "url", None))
        mask_header_secrets(getattr(rendered, "headers", None))

    def execute(self, context: Context) -> list[RecordSummary]:
        """
        Send the notifications; see the class.

        :raises InvalidArgument: if a rendered argument or the Connection is invalid
        :raises MalformedNotifications: if there are values and none of them is a notification
        :raises TooManyToMap: if the next task is mapped over more summaries than Airflow allows
        :raises DeliveryPending: if a retry can deliver some notifications
        :raises DeliveryFailed: if a retry cannot, and receivers rejected some
        """
        mode = run_mode(context)
        inputs = read_inputs(context, [] if self.notifications is None else self.notifications)
        if not inputs.valid and not inputs.problems:
            raise AirflowSkipException("there is no notification to deliver")
        check_mappable(context, len(inputs.valid) + len(inputs.problems))
        access_log = AccessLog(context, self.log)
        malformed = self._malformed(context, inputs, mode)
        for record in malformed:
            access_log.log(record)
        if not inputs.valid:
            access_log.store(malformed)
            raise MalformedNotifications(
                f"task {self.task_id!r} got {len(malformed)} values, and none of them is a notification; "
                f"{malformed[0].reason}"
            )
        if mode.is_dry_run:
            return self._dry_run(context, inputs, access_log, malformed)
        batch = self._new_batch(context, inputs, access_log, mode)
        try:
            self._send(batch)
        finally:
            records = [*batch.records(), *malformed]
            access_log.store(records)
            batch.report_rest()
            self._set_label(context, batch.label())
        batch.check()
        return [record.summary() for record in records]

    def on_kill(self) -> None:
        """Send nothing more; attempts under way get two seconds to end."""
        self._is_killed = True
        if self._batch is not None:
            self._batch.stop()

    @property
    def _name(self) -> str:
        return self.trigger_name or f"{self.dag_id}.{self.task_id}"

    def _is_about_to_run(self) -> bool:
        """Return True if a worker parses the Dag file to run this task."""
        wanted = get_parsing_context()
        return (wanted.dag_id, wanted.task_id) == (self.dag_id, self.task_id)

    def _set_label(self, context: Context, label: str) -> None:
        context["delivery"] = label  # type: ignore[typeddict-unknown-key] # for map_index_template
        if self.map_index_template == LABEL and not is_mapped(context["ti"]):
            # Airflow shows the label of mapped instances alone; each label it stores is one more call.
            context["map_index_template"] = None

    def _items(self, inputs: Inputs) -> list[tuple[Notification, str]]:
        return [(item, item.trigger.get("name") or self._name) for item in inputs.valid]

    def _new_batch(
        self, context: Context, inputs: Inputs, access_log: AccessLog, mode: RunMode
    ) -> DeliveryBatch:
        return DeliveryBatch(
            context,
            self._delivery(),
            self._items(inputs),
            access_log.log,
            self.log,
            is_test=mode.is_test,
        )

    def _dry_run(
        self, context: Context, inputs: Inputs, access_log: AccessLog, malformed: list[AccessRecord]
    ) -> list[RecordSummary]:
        self.log.info("The run's conf has dry_run: everything is checked, nothing is sent.")
        rehearsal = DryRun(self._delivery(), self._items(inputs), context["ti"].try_number)
        records = [*rehearsal.run(access_log.log), *malformed]
        access_log.store(records)
        self._set_label(context, batch_label(records, len(records)))
        rehearsal.check()
        return [record.summary() for record in records]

    def _send(self, batch: DeliveryBatch) -> None:
        self._batch = batch
        if self._is_killed:
            batch.stop()
        try:
            asyncio.run(batch.send_all())
        except Exception:
            raise
        except BaseException:
            # execution_timeout came between the last answer and the end of the task: nothing is left to do.
            if not batch.is_delivered():
                raise
            self.log.warning("The task was stopped after every notification had been delivered.")

    def _malformed(self, context: Context, inputs: Inputs, mode: RunMode) -> list[AccessRecord]:
        number, total = len(inputs.problems), len(inputs.problems) + len(inputs.valid)
        if number and inputs.valid:
            self.log.warning(
                "%d of %d values are not notifications and were left out; %s",
                number,
                total,
                inputs.problems[0].reason,
            )
        return [
            AccessRecord.of_malformed(
                problem.id,
                reason=problem.reason,
                trigger_name=self._name,
                try_number=context["ti"].try_number,
                is_test=mode.is_test,
            )
            for problem in inputs.problems
        ]

    def _delivery(self) -> Delivery:
        try:
            target = WebhookHook(self.webhook_conn_id).target() if self.webhook_conn_id else WebhookTarget()
            return target.delivery(
                self.url,
                self.headers,
                body_format=self.body_format,
                body_template=self.body_template,
                request_timeout=self.request_timeout,
                success_statuses=tuple(self.success_statuses),
            )
        except ValueError as error:
            raise InvalidArgument(f"task {self.task_id!r}: {error}") from None


def _import_sender() -> None:
    """Import the HTTP client in a thread, while Airflow prepares the task."""
    Thread(target=import_module, args=(SENDER,), daemon=True).start()
