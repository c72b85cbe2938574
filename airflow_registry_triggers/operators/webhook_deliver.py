# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""An operator that delivers notifications as webhooks."""

from __future__ import annotations

import asyncio
import warnings
from datetime import timedelta
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from airflow_registry_triggers.access_log.writer import log_record, push_records
from airflow_registry_triggers.common.templating import is_literal
from airflow_registry_triggers.delivery.batch import DeliveryBatch
from airflow_registry_triggers.delivery.retry_policy import WebhookRetryPolicy
from airflow_registry_triggers.exceptions import InvalidArgument
from airflow_registry_triggers.hooks.webhook import (
    WebhookHook,
    WebhookTarget,
    allowed_networks,
    mask_header_secrets,
    mask_url_secrets,
)
from airflow_registry_triggers.links.access_log import AccessLogLink
from airflow_registry_triggers.matching.inputs import flattened, id_source, numbered, parsed
from airflow_registry_triggers.operators.upstream import check_upstream
from airflow_registry_triggers.webhook.body import check_body
from airflow_registry_triggers.webhook.headers import check_headers
from airflow_registry_triggers.webhook.limits import DEFAULT_TIMEOUT, check_timeout
from airflow_registry_triggers.webhook.outcome import check_success_statuses
from airflow_registry_triggers.webhook.redaction.fields import secret_header_values, url_secrets
from airflow_registry_triggers.webhook.url import parse_endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import jinja2
    from airflow.sdk import Context
    from airflow.sdk.definitions.retry_policy import RetryPolicy

    from airflow_registry_triggers.webhook.delivery import Delivery

__all__ = ["WebhookDeliverOperator", "check_literal"]

PASSED_OR_FAILED = "none_skipped"

SENDER = "airflow_registry_triggers.webhook.attempt"


class WebhookDeliverOperator(BaseOperator):
    """
    POST each notification to a URL; one attempt is one try of the task, and Airflow tries again.

    Up to 16 notifications are under way at once, each with an access record of its own. A later try sends
    only what is neither delivered nor refused for good; a task that is cleared sends all again, with the
    same ids. While any can be tried again the task fails retryably; when none is left and some were refused
    for good it fails for good.

    The task also runs when the match before it failed after passing notifications on (it does so when some
    of what came in was no notification): ``trigger_rule`` is ``none_skipped``. When any other task before
    it failed it sends nothing and fails.

    :param notifications: one notification, a list, or an upstream task's output (templated)
    :param url: where to (templated); or leave it to the Connection
    :param webhook_conn_id: a ``webhook`` or ``http`` Connection: URL, headers, secrets (templated)
    :param trigger_name: name in the access history where the match set none, default
        ``<dag_id>.<task_id>`` (templated)
    :param headers: further headers (templated)
    :param body: ``None`` for the registry's own format, ``cloudevents``, ``cloudevents-binary``, or a Jinja
        template that gives JSON; rendered for each notification and not by Airflow
    :param timeout: seconds for one attempt in all, 1 to 60, default 15
    :param success_statuses: statuses that count as delivered besides 2xx
    :param retries: tries after the first, default 8
    :param retry_delay: pause after a lost worker, when no policy is asked; default 30 s
    :param retry_policy: when to try again, default :class:`WebhookRetryPolicy`
    :raises ValueError: an argument that cannot work: when the Dag is parsed, where it is literal
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
        body: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        success_statuses: Sequence[int] = (),
        retries: int | None = 8,
        retry_delay: timedelta | float = timedelta(seconds=30),
        retry_policy: RetryPolicy | None = WebhookRetryPolicy(),  # noqa: B008 - it has no state
        trigger_rule: str = PASSED_OR_FAILED,
        map_index_template: str | None = "{{ delivery }}",
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
        self.body = body
        self.timeout = timeout
        self.success_statuses = success_statuses
        self._round: DeliveryBatch | None = None
        if url is None and webhook_conn_id is None:
            raise ValueError("give url, webhook_conn_id or both: there is nowhere to send to")
        check_literal(
            url=url,
            headers=headers,
            body=body,
            timeout=timeout,
            success_statuses=success_statuses,
        )

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Set up a mapped delivery; literal arguments are checked here, as ``__init__`` is not called yet."""
        check_literal(**{name: kwargs[name] for name in _CHECKED if name in kwargs})
        return super().partial(**kwargs)

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """
        Render, and have Airflow mask what is secret before the rendered fields are stored.

        :param context: Airflow's context
        :param jinja_env: Jinja's environment
        """
        # An HTTP client takes as long to load as Airflow takes to answer what is asked before: both at once.
        Thread(target=import_module, args=(SENDER,), daemon=True).start()
        super().render_template_fields(context, jinja_env)
        # A mapped task renders the operator it was unmapped to.
        rendered = context["task"]
        mask_url_secrets(getattr(rendered, "url", None))
        mask_header_secrets(getattr(rendered, "headers", None))

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Send; see the class."""
        values = flattened(self.notifications)
        if self.trigger_rule == PASSED_OR_FAILED:
            check_upstream(context, has_notifications=bool(values))
        if not values:
            raise AirflowSkipException("there is no notification to deliver")
        ti = context["ti"]
        name = self.trigger_name or f"{ti.dag_id}.{ti.task_id}"
        read = list(parsed(numbered(values, id_source(context))))
        items = [(item, item.trigger.get("name") or name) for item, _ in read if item is not None]
        problems = [problem for _, problem in read if problem]
        work = DeliveryBatch(
            context, self._delivery(), items, problems, lambda record: log_record(self.log, record)
        )
        return self._send(context, work)

    def on_kill(self) -> None:
        """Send nothing more; what is under way ends with its connection."""
        if self._round is not None:
            self._round.cancel()

    def _send(self, context: Context, work: DeliveryBatch) -> list[dict[str, Any]]:
        self._round = work
        try:
            asyncio.run(work.send_all())
        finally:
            self._round = None
            records = push_records(context, work.records())
            context["delivery"] = work.label()  # type: ignore[typeddict-unknown-key] # map_index_template
        work.end()
        return records

    def _delivery(self) -> Delivery:
        try:
            target = WebhookHook(self.webhook_conn_id).target() if self.webhook_conn_id else WebhookTarget()
            return target.delivery(
                self.url,
                self.headers,
                body=self.body,
                timeout=self.timeout,
                success_statuses=tuple(self.success_statuses),
            )
        except ValueError as error:
            raise InvalidArgument(str(error)) from None


_CHECKED = ("url", "headers", "body", "timeout", "success_statuses")


def check_literal(
    *,
    url: Any = None,
    headers: Any = None,
    body: Any = None,
    timeout: Any = DEFAULT_TIMEOUT,
    success_statuses: Any = (),
) -> None:
    """
    Check what is known while the Dag is parsed; loads no HTTP client.

    :param url: where to
    :param headers: the caller's own
    :param body: see the operator
    :param timeout: seconds
    :param success_statuses: see the operator
    :raises ValueError: one cannot work
    """
    if headers and is_literal(headers) and secret_header_values(headers):
        warnings.warn(
            "headers hold what looks like a secret: the serialized Dag shows it to everyone who may read the "
            "Dag; it belongs in the Connection's headers",
            stacklevel=4,
        )
    if url is not None and is_literal(url):
        endpoint = parse_endpoint(url, allowed_networks=allowed_networks())
        if "?" in endpoint.target or url_secrets(url):
            warnings.warn(
                "url has a query or a long token: the serialized Dag shows it to everyone who may read the "
                "Dag; a secret belongs in the Connection, in secret_query or path",
                stacklevel=4,
            )
    if headers and is_literal(headers):
        check_headers(headers)
    if body is not None:
        check_body(body)
    check_timeout(timeout)
    check_success_statuses(success_statuses)
