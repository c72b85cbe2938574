# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A hook that sends webhooks."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_registry_triggers.hooks.connection_extra import without_conn_id
from airflow_registry_triggers.hooks.webhook_target import (
    WebhookTarget,
    allowed_networks,
    target_of,
    webhook_proxy,
)
from airflow_registry_triggers.webhook.redaction.fields import mask_url, secret_header_values, url_secrets

if TYPE_CHECKING:
    from airflow_registry_triggers.access_record import AccessRecord
    from airflow_registry_triggers.notification import Notification

__all__ = ["WebhookHook", "mask_header_secrets", "mask_url_secrets"]


class WebhookHook(BaseHook):
    """
    Send webhooks with a ``webhook`` or ``http`` Connection.

    :param webhook_conn_id: id of the Connection
    """

    conn_name_attr = "webhook_conn_id"
    default_conn_name = "webhook_default"
    conn_type = "webhook"
    hook_name = "Webhook"

    def __init__(self, webhook_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.webhook_conn_id = webhook_conn_id

    def send(
        self,
        notification: Notification | Mapping[str, Any],
        url: str | None = None,
        trigger_name: str | None = None,
    ) -> AccessRecord:
        """
        Send a notification once, for example from a ``@task``, and return the access record.

        The hook does not retry. Check ``status_code``, and raise an exception to let Airflow retry the task.

        :param notification: a notification, or its dict
        :param url: URL of the receiver, default the Connection's
        :param trigger_name: name in the record, default the notification's trigger or the Connection's id
        :raises ValueError: the notification, the Connection or the URL is invalid
        """
        return asyncio.run(self._send(self.target(), notification, url, trigger_name))

    async def asend(
        self,
        notification: Notification | Mapping[str, Any],
        url: str | None = None,
        trigger_name: str | None = None,
    ) -> AccessRecord:
        """
        Send a notification once from a coroutine of a task, as :meth:`send` does.

        :param notification: a notification, or its dict
        :param url: URL of the receiver, default the Connection's
        :param trigger_name: name in the record, default the notification's trigger or the Connection's id
        :raises ValueError: the notification, the Connection or the URL is invalid
        """
        return await self._send(await self.atarget(), notification, url, trigger_name)

    async def _send(
        self,
        target: WebhookTarget,
        notification: Notification | Mapping[str, Any],
        url: str | None,
        trigger_name: str | None,
    ) -> AccessRecord:
        from airflow_registry_triggers.notification import Notification

        if isinstance(notification, Mapping):
            notification = Notification.from_dict(dict(notification))
        mask_url_secrets(url)
        name = trigger_name or notification.trigger.get("name") or self.webhook_conn_id
        return (await target.delivery(url).attempt(notification, name, 1)).record

    def target(self) -> WebhookTarget:
        """
        Return the receiver of the Connection, and register its secrets with Airflow's masker.

        :raises ValueError: the Connection is invalid; the error shows no secret
        """
        return _masked(target_of(self.get_connection(self.webhook_conn_id)))

    async def atarget(self) -> WebhookTarget:
        """
        Return the receiver of the Connection from a coroutine, as :meth:`target` does.

        :raises ValueError: the Connection is invalid; the error shows no secret
        """
        return _masked(target_of(await self.aget_connection(self.webhook_conn_id)))

    def get_conn(self) -> WebhookTarget:
        """Return the receiver of the Connection."""
        return self.target()

    def test_connection(self) -> tuple[bool, str]:
        """Check the URL, the headers and the secret against the rules, without sending anything."""
        from airflow_registry_triggers.webhook.url import parse_endpoint

        try:
            target = self.target()
            via = " through the proxy of the deployment" if webhook_proxy() else ""
            if not target.url:
                return True, "The headers and the secret are valid. The URL comes from the task."
            endpoint = parse_endpoint(target.url, allowed_networks=allowed_networks())
        except ValueError as error:
            return False, without_conn_id(str(error), self.webhook_conn_id)
        return True, f"Webhooks to {mask_url(endpoint.url)} are allowed{via}. The test sent nothing."


def _masked(target: WebhookTarget) -> WebhookTarget:
    for secret in target.secrets:
        mask_secret(secret)
    return target


def mask_header_secrets(headers: Any) -> None:
    """
    Register the values of credential headers with Airflow's masker.

    :param headers: rendered value of a template field; anything except a mapping is ignored
    """
    if isinstance(headers, Mapping):
        for secret in secret_header_values(headers):
            mask_secret(secret)


def mask_url_secrets(url: Any) -> None:
    """
    Register the secret parts of a URL with Airflow's masker: query values, userinfo, long path segments.

    :param url: rendered value of a template field; anything except text is ignored
    """
    if isinstance(url, str):
        for secret in url_secrets(url):
            mask_secret(secret)
