# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A notifier that sends a webhook from the callbacks of any Dag."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from airflow_registry_triggers.access_log.writer import log_record
from airflow_registry_triggers.access_record import AccessRecord
from airflow_registry_triggers.delivery.arguments import check_arguments
from airflow_registry_triggers.hooks.webhook import (
    WebhookHook,
    mask_header_secrets,
    mask_url_secrets,
)
from airflow_registry_triggers.hooks.webhook_target import WebhookTarget
from airflow_registry_triggers.webhook.limits import DEFAULT_TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import jinja2
    from airflow.sdk import Context

    from airflow_registry_triggers.webhook.delivery import Delivery, Result

__all__ = ["WebhookNotifier"]


class WebhookNotifier(BaseNotifier):
    """
    POST a webhook from a callback, such as ``on_failure_callback``, under the rules of deliveries.

    There is one attempt, because callbacks have no retries. Its access record is in the log only. For a
    deadline use ``SyncCallback``: ``AsyncCallback`` runs in the triggerer, from which no webhook is sent.

    :param url: URL of the receiver, default the Connection's (templated)
    :param webhook_conn_id: id of a ``webhook`` or ``http`` Connection (templated)
    :param payload: JSON value to send, default the ids and the state of the task and its run (templated)
    :param headers: headers of the request; they replace those of the Connection (templated)
    :param request_timeout: seconds for the attempt in all, 1 to 60
    :param success_statuses: statuses that count as delivered in addition to 2xx
    :raises ValueError: a literal argument is invalid
    """

    template_fields = ("url", "webhook_conn_id", "payload", "headers")

    def __init__(
        self,
        *,
        url: str | None = None,
        webhook_conn_id: str | None = None,
        payload: Any = None,
        headers: Mapping[str, str] | None = None,
        request_timeout: float = DEFAULT_TIMEOUT,
        success_statuses: Sequence[int] = (),
    ) -> None:
        super().__init__()
        if url is None and webhook_conn_id is None:
            raise ValueError(
                "neither url nor webhook_conn_id is set, so there is no receiver; set one of them"
            )
        check_arguments(
            url=url, headers=headers, request_timeout=request_timeout, success_statuses=success_statuses
        )
        self.url = url
        self.webhook_conn_id = webhook_conn_id
        self.payload = payload
        self.headers = headers
        self.request_timeout = request_timeout
        self.success_statuses = success_statuses

    def render_template_fields(self, context: Context, jinja_env: jinja2.Environment | None = None) -> None:
        """
        Render the templates, and register secrets with Airflow's masker.

        :param context: Airflow's context
        :param jinja_env: Jinja's environment
        """
        super().render_template_fields(context, jinja_env)
        mask_url_secrets(self.url)
        mask_header_secrets(self.headers)

    def notify(self, context: Context) -> None:
        """
        Send the webhook.

        :param context: Airflow's context
        :raises RuntimeError: the webhook was not delivered; the error says why
        """
        target = WebhookHook(self.webhook_conn_id).target() if self.webhook_conn_id else WebhookTarget()
        self._end(asyncio.run(self._send(self._delivery(target), context)))

    async def async_notify(self, context: Context) -> None:
        """
        Raise: Airflow calls it in the triggerer only, and webhooks are sent from workers only.

        A triggerer that restarts would send the webhook again.

        :param context: Airflow's context
        :raises NotImplementedError: always; the error names ``SyncCallback``
        """
        raise NotImplementedError(
            "WebhookNotifier sends nothing from the triggerer, where AsyncCallback runs it: a restart would "
            "send the webhook again. Use SyncCallback(WebhookNotifier, kwargs=...), which runs in an executor"
        )

    def _delivery(self, target: WebhookTarget) -> Delivery:
        return target.delivery(
            self.url,
            self.headers,
            request_timeout=self.request_timeout,
            success_statuses=tuple(self.success_statuses),
        )

    async def _send(self, delivery: Delivery, context: Context) -> Result:
        from airflow_registry_triggers.webhook.body import Body, encode_json

        about = _about(context)
        content = encode_json(about if self.payload is None else self.payload)
        webhook_id = f"msg_{hashlib.sha256(json.dumps(about).encode() + content).hexdigest()[:32]}"
        name = ".".join(str(about[key]) for key in ("dag_id", "task_id") if about[key])
        record = AccessRecord(trigger_name=name, status_code="", trigger_log_id=f"{webhook_id}/1")
        return await delivery.send_body(Body(content), webhook_id, record)

    def _end(self, result: Result) -> None:
        log_record(self.log, result.record)
        if result.outcome.value != "delivered":
            raise RuntimeError(
                f"the webhook was not delivered ({result.record.status_code}): {result.record.reason}"
            )


def _about(context: Context) -> dict[str, Any]:
    """Return the ids and the state of the task and its run; a callback of a Dag may have no task."""
    ti, run = context.get("ti"), context.get("dag_run")
    exception = context.get("exception")
    state = getattr(ti, "state", None) or getattr(run, "state", None)
    return {
        "dag_id": getattr(ti, "dag_id", None) or getattr(run, "dag_id", None),
        "run_id": context.get("run_id") or getattr(run, "run_id", None),
        "task_id": getattr(ti, "task_id", None),
        "map_index": getattr(ti, "map_index", None),
        "try_number": getattr(ti, "try_number", None),
        "state": str(getattr(state, "value", state)) if state else None,
        "exception": type(exception).__name__ if exception else None,
    }
