# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The settings of a Connection for the webhooks that its registry sends."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.sdk.log import mask_secret

from airflow_registry_triggers.hooks.connection_extra import ConnectionExtra
from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.inbound.proof import checked_secrets

if TYPE_CHECKING:
    from airflow.sdk import Connection

__all__ = ["InboundSettings"]

DEFAULT_RATE = 600
"""Proven webhooks per minute and api-server process."""


@dataclass(frozen=True, slots=True)
class InboundSettings:
    """
    Settings for a registry's own webhooks.

    :param secrets: secrets that a sender may use, the current one first
    :param rate: number of proven webhooks per minute and api-server process
    """

    secrets: tuple[str, ...] = field(repr=False)
    rate: int = DEFAULT_RATE

    @classmethod
    def from_connection(cls, connection: Connection) -> InboundSettings | None:
        """
        Read a Connection, and let Airflow mask its secrets in logs.

        :return: None if the Connection takes no webhooks: another type, or no ``webhook_secret``
        :raises ValueError: a value is not valid; the text names the field and never quotes a secret
        """
        if connection.conn_type != RegistryHook.conn_type:
            return None
        read = ConnectionExtra(_extra_of(connection), str(connection.conn_id))
        current, previous = read.secret("webhook_secret"), read.secret("previous_webhook_secret")
        for secret in filter(None, (current, previous)):
            mask_secret(secret)
        try:
            secrets = checked_secrets(current, previous)
        except ValueError as error:
            raise ValueError(f"Connection {read.conn_id!r}: {error}") from None
        return cls(secrets, read.integer("webhook_rate", DEFAULT_RATE, at_least=1)) if secrets else None


def _extra_of(connection: Connection) -> dict[str, Any]:
    # extra_dejson is empty for text that is not JSON: the endpoint would not find webhook_secret in it.
    text = (connection.extra or "").strip()
    try:
        extra = json.loads(text or "{}")
    except (ValueError, RecursionError):
        extra = None
    if isinstance(extra, dict):
        return connection.extra_dejson if text else {}  # extra_dejson masks secrets in logs
    # Raised outside the handler: a JSONDecodeError carries the whole text.
    raise ValueError(f"Connection {connection.conn_id!r}: extra must be a JSON object")
