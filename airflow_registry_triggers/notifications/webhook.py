# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A notifier on the same sender, for the callbacks of any Dag."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from airflow_registry_triggers.access_log.writer import log_record
from airflow_registry_triggers.access_record import AccessRecord
from airflow_registry_triggers.hooks.webhook import (
    WebhookHook,
    WebhookTarget,
    mask_header_secrets,
    mask_url_secrets,
)
from airflow_registry_triggers.operators.webhook_deliver import check_literal
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

    One attempt, without retries: a callback has none. Its record is in the log.

    :param url: where to (templated); or leave it to the Connection
    :param webhook_conn_id: a ``webhook`` or ``http`` Connection (templated)
    :param payload: what is sent as JSON (templated); default what happened to which task of which run
    :param headers: further headers (templated)
    :param request_timeout: seconds of the attempt in all, 1 to 60, default 15
    :param success_statuses: statuses that count as delivered besides 2xx
    :raises ValueError: an argument that cannot work, where it is literal
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
            raise ValueError("give url, webhook_conn_id or both: there is nowhere to send to")
        check_literal(
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
        Render, and have Airflow mask what is secret.

        :param context: Airflow's context
        :param jinja_env: Jinja's environment
        """
        super().render_template_fields(context, jinja_env)
        mask_url_secrets(self.url)
        mask_header_secrets(self.headers)

    def notify(self, context: Context) -> None:
        """
        Send.

        :param context: Airflow's context
        :raises RuntimeError: it was not delivered; the text tells why
        """
        target = WebhookHook(self.webhook_conn_id).target() if self.webhook_conn_id else WebhookTarget()
        self._end(asyncio.run(self._send(self._delivery(target), context)))

    async def async_notify(self, context: Context) -> None:
        """
        Send, from the triggerer.

        :param context: Airflow's context
        :raises RuntimeError: it was not delivered; the text tells why
        """
        target = (
            await WebhookHook(self.webhook_conn_id).atarget() if self.webhook_conn_id else WebhookTarget()
        )
        self._end(await self._send(self._delivery(target), context))

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
            raise RuntimeError(f"webhook not delivered: {result.record.status_code}, {result.record.reason}")


def _about(context: Context) -> dict[str, Any]:
    """Say what happened to which task of which run; in a Dag's own callback there may be no task."""
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
