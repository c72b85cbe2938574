# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The receiver of webhooks that a Connection and the options of the deployment describe."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow.sdk.log import mask_secret

from airflow_registry_triggers.hooks.connection_address import parse_address
from airflow_registry_triggers.hooks.connection_extra import HTTP_OPTIONS, ConnectionExtra
from airflow_registry_triggers.webhook.redaction.fields import (
    private_headers,
    query_values,
    secret_header_values,
    url_secrets,
)

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_registry_triggers.webhook.delivery import Delivery

__all__ = ["WebhookTarget", "allowed_networks", "target_of", "webhook_proxy"]

CONFIG_SECTION = "registry_triggers"
ALLOWED_NETWORKS = "allowed_networks"
WEBHOOK_PROXY = "webhook_proxy"


def allowed_networks() -> tuple[str, ...]:
    """
    Return ``[registry_triggers] allowed_networks``: networks that are allowed although they are not public.

    :raises ValueError: an entry is not a network
    """
    from airflow_registry_triggers.addresses.table import parse_networks

    return tuple(str(network) for network in parse_networks(_option(ALLOWED_NETWORKS)))


def webhook_proxy() -> str:
    """
    Return ``[registry_triggers] webhook_proxy``, and register its login as a secret; empty for no proxy.

    :raises ValueError: the option is not the URL of a proxy; the error does not show the value
    """
    from airflow_registry_triggers.webhook.proxy import parse_proxy

    text = _option(WEBHOOK_PROXY).strip()
    proxy = parse_proxy(text)
    for secret in proxy.secrets if proxy else ():
        mask_secret(secret)
    return text


def _option(name: str) -> str:
    from airflow.sdk.configuration import conf

    return conf.get(CONFIG_SECTION, name, fallback="") or ""


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """
    A receiver and its secrets. Every field except the id and ``ca_file`` may contain secrets.

    :param url: URL without the secret part of its query; empty for a Connection without a host
    :param headers: headers of the Connection
    :param secret_query: appended to the query of the request
    :param signing_secrets: at most two, current first
    :param ca_file: PEM file of certificates to trust instead of the system's
    :param conn_id: id of the Connection, for errors
    """

    url: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_query: str = field(default="", repr=False)
    signing_secrets: tuple[str, ...] = field(default=(), repr=False)
    ca_file: str | None = None
    conn_id: str = ""

    def url_for(self, url: str | None) -> str:
        """
        Return the URL of a delivery.

        :param url: URL of the task, None to use the Connection's
        :raises ValueError: neither has a URL, or the two URLs name different receivers
        """
        if not url:
            if not self.url:
                raise ValueError(f"the URL is missing: set the task's url or the host of {self._name}")
            return self.url
        # The headers and secrets of one receiver must not reach another one.
        if self.url and not self._is_same_receiver(url):
            raise ValueError(
                f"the task's url and {self._name} name different receivers; set another Connection, or one "
                "without a host"
            )
        return url

    def delivery(self, url: str | None, headers: Mapping[str, str] | None = None, **options: Any) -> Delivery:
        """
        Return a delivery to this receiver.

        :param url: URL of the task, None to use the Connection's
        :param headers: headers of the task; they replace those of the Connection
        :param options: ``body_format``, ``body_template``, ``request_timeout``, ``success_statuses``
        :raises ValueError: an argument or an option of the deployment is invalid
        """
        from airflow_registry_triggers.webhook.delivery import Delivery

        own = headers or {}
        names = {name.lower() for name in own}
        kept = {name: value for name, value in self.headers.items() if name.lower() not in names}
        return Delivery(
            url=self.url_for(url),
            headers={**kept, **own},
            signing_secrets=self.signing_secrets,
            secret_query=self.secret_query,
            secret_headers=private_headers(self.headers),
            ca_file=self.ca_file,
            allowed_networks=allowed_networks(),
            proxy=webhook_proxy(),
            secrets=self.secrets,
            **options,
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must be masked everywhere: every header value too, except of harmless headers."""
        return (
            *self.signing_secrets,
            *query_values(self.secret_query),
            *secret_header_values(self.headers, private_headers(self.headers)),
            *url_secrets(self.url),
        )

    @property
    def _name(self) -> str:
        return f"Connection {self.conn_id!r}" if self.conn_id else "the Connection"

    def _is_same_receiver(self, url: str) -> bool:
        """Compare scheme, host and port; a URL that is blocked anyway counts as the same."""
        from airflow_registry_triggers.addresses.table import EVERYWHERE
        from airflow_registry_triggers.webhook.url import EndpointRefused, parse_endpoint

        try:
            own = parse_endpoint(self.url, allowed_networks=EVERYWHERE)
        except EndpointRefused as error:
            raise ValueError(f"{self._name}: {error}") from None
        try:
            other = parse_endpoint(url, allowed_networks=EVERYWHERE)
        except EndpointRefused:
            return True  # the delivery blocks it, with a reason in the access record
        return (own.scheme, own.host, own.port) == (other.scheme, other.host, other.port)


def target_of(connection: Connection) -> WebhookTarget:
    """
    Return the receiver of a Connection.

    :param connection: a ``webhook`` or ``http`` Connection
    :raises ValueError: the Connection is invalid; the error shows no secret
    """
    from airflow_registry_triggers.webhook.headers import check_headers
    from airflow_registry_triggers.webhook.signing import check_secret

    conn_id = str(connection.conn_id)
    extra = ConnectionExtra(connection.extra_dejson, conn_id)
    is_http = connection.conn_type == "http"
    headers = _http_headers(connection) if is_http else _headers(extra)
    signing = () if is_http else _signing_secrets(connection, extra)
    try:
        check_headers(headers)
        for secret in signing:
            check_secret(secret)
    except ValueError as error:
        raise ValueError(f"Connection {conn_id!r}: {error}") from None
    return WebhookTarget(
        url=_url(connection, "http" if is_http else "https", "" if is_http else extra.secret("path")),
        headers=headers,
        secret_query="" if is_http else extra.secret("secret_query").lstrip("?&"),
        signing_secrets=signing,
        ca_file=extra.text("ca_file") or None,
        conn_id=conn_id,
    )


def _url(connection: Connection, default_scheme: str, path: str) -> str:
    """Return the URL of the host field and the field Path; both may contain a path and a query."""
    address = parse_address(connection, connection.schema or default_scheme)
    if not address.host:
        return ""
    if "#" in path:
        raise ValueError(f"Connection {connection.conn_id!r}: path must not contain a fragment (#)")
    path, _, query = path.partition("?")
    whole = f"{address.path.rstrip('/')}/{path.lstrip('/')}" if path else address.path
    queries = "&".join(part for part in (address.query, query) if part)
    return f"{address.scheme}://{address.authority}{whole}{'?' if queries else ''}{queries}"


def _headers(extra: ConnectionExtra) -> dict[str, str]:
    given = extra.extra.get("headers") or {}
    if isinstance(given, str):  # the form has a text field for it
        try:
            given = json.loads(given)
        except ValueError:
            given = None
    if not isinstance(given, Mapping):
        example = '{"X-Team": "app"}'
        raise ValueError(f"Connection {extra.conn_id!r}: headers must be a JSON object such as {example}")
    return {str(name): _header_text(extra.conn_id, name, value) for name, value in given.items()}


def _http_headers(connection: Connection) -> dict[str, str]:
    """Return the headers of an ``http`` Connection: its extra without the options of the http provider."""
    conn_id, extra = str(connection.conn_id), connection.extra_dejson
    for name in extra:
        if name.lower() == "headers":
            raise ValueError(
                f"Connection {conn_id!r}: the extra has the key {name!r}, but each key of an http "
                "Connection's extra is a header; move its headers one level up"
            )
    headers = {
        name: _header_text(conn_id, name, value) for name, value in extra.items() if name not in HTTP_OPTIONS
    }
    if connection.login and not any(name.lower() == "authorization" for name in headers):
        pair = f"{connection.login}:{connection.password or ''}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return headers


def _header_text(conn_id: str, name: object, value: object) -> str:
    if not isinstance(value, str):
        kind = type(value).__name__
        raise ValueError(
            f"Connection {conn_id!r}: the header {str(name)!r} must be text, but is of type {kind}"
        )
    return value


def _signing_secrets(connection: Connection, extra: ConnectionExtra) -> tuple[str, ...]:
    secrets = (connection.password or "", extra.secret("previous_signing_secret"))
    if secrets[1] and not secrets[0]:
        raise ValueError(
            f"Connection {extra.conn_id!r}: previous_signing_secret is set, but the current signing secret "
            "is missing; set it in the password field"
        )
    return tuple(secret for secret in secrets if secret)
