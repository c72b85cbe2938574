# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""From a Connection to where a webhook goes, and with what."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.sdk import BaseHook
from airflow.sdk.log import mask_secret

from airflow_registry_triggers.hooks.connection_extra import ConnectionExtra

if TYPE_CHECKING:
    from airflow.sdk import Connection

    from airflow_registry_triggers.webhook.delivery import Delivery

__all__ = ["WebhookHook", "WebhookTarget", "allowed_networks", "mask_header_secrets", "mask_url_secrets"]

CONFIG_SECTION = "registry_triggers"
ALLOWED_NETWORKS = "allowed_networks"

# Keys of an http Connection's extra that its own provider takes out before the rest become headers.
_HTTP_OPTIONS = frozenset(
    {
        "allow_redirects",
        "ca_file",
        "cert",
        "check_response",
        "max_redirects",
        "proxies",
        "proxy",
        "srv_lookup",
        "stream",
        "timeout",
        "trust_env",
        "verify",
        "verify_ssl",
    }
)


def allowed_networks() -> tuple[str, ...]:
    """
    Read ``[registry_triggers] allowed_networks``: what the operator of the deployment lets webhooks reach.

    :raises ValueError: an entry that is no network
    """
    from airflow.sdk.configuration import conf

    from airflow_registry_triggers.addresses.table import parse_networks

    text = conf.get(CONFIG_SECTION, ALLOWED_NETWORKS, fallback="")
    return tuple(str(network) for network in parse_networks(text or ""))


@dataclass(frozen=True, slots=True)
class WebhookTarget:
    """
    Where a webhook goes, and with what. Every field but the URL and ``ca_file`` may hold secrets.

    :param url: the URL, without the secret part of its query; empty where the Connection has no host
    :param headers: headers of the caller
    :param secret_query: appended to the query when sending
    :param signing_secrets: at most two, current first
    :param ca_file: certificates to trust instead of the system's
    """

    url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    secret_query: str = field(default="", repr=False)
    signing_secrets: tuple[str, ...] = field(default=(), repr=False)
    ca_file: str | None = None

    def url_for(self, url: str | None) -> str:
        """
        Give the URL to send to.

        :param url: what the task says, None where it leaves it to the Connection
        :raises ValueError: neither says, or they name different receivers
        """
        if not url:
            if not self.url:
                raise ValueError("there is no URL: the task has none, and the Connection has no host")
            return self.url
        if self.url and _origin(url) != _origin(self.url):
            # The headers and secrets of one receiver are not for another.
            raise ValueError(
                "the task's url and the Connection name different receivers; use a Connection of that "
                "receiver, or one without a host"
            )
        return url

    def delivery(self, url: str | None, headers: Mapping[str, str] | None = None, **options: Any) -> Delivery:
        """
        Give all that an attempt needs but what is sent.

        :param url: what the task says, None where it leaves it to the Connection
        :param headers: the task's own, which win over the Connection's
        :param options: ``body``, ``timeout``, ``success_statuses``
        :raises ValueError: an argument cannot work
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
            ca_file=self.ca_file,
            allowed_networks=allowed_networks(),
            secrets=self.secrets,
            **options,
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every text that must be masked wherever it turns up."""
        from airflow_registry_triggers.webhook.redaction.fields import query_values, secret_header_values

        return (
            *self.signing_secrets,
            *query_values(self.secret_query),
            *secret_header_values(self.headers),
        )


class WebhookHook(BaseHook):
    """
    Read a ``webhook`` Connection; an ``http`` one will do.

    :param webhook_conn_id: the Connection
    """

    conn_name_attr = "webhook_conn_id"
    default_conn_name = "webhook_default"
    conn_type = "webhook"
    hook_name = "Webhook"

    def __init__(self, webhook_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.webhook_conn_id = webhook_conn_id

    def target(self) -> WebhookTarget:
        """
        Read the Connection, and have Airflow mask its secrets from here on.

        :raises ValueError: the Connection cannot be used; the text shows no secret
        """
        return _masked(target_of(self.get_connection(self.webhook_conn_id)))

    async def atarget(self) -> WebhookTarget:
        """
        Read the Connection from a coroutine, and have Airflow mask its secrets from here on.

        :raises ValueError: the Connection cannot be used; the text shows no secret
        """
        return _masked(target_of(await self.aget_connection(self.webhook_conn_id)))

    def get_conn(self) -> WebhookTarget:
        """Give what the Connection says."""
        return self.target()

    def test_connection(self) -> tuple[bool, str]:
        """Check the URL, the headers and the secret against the rules; nothing is sent."""
        from airflow_registry_triggers.webhook.redaction.fields import mask_url
        from airflow_registry_triggers.webhook.url import parse_endpoint

        try:
            target = self.target()
            if not target.url:
                return True, "headers and secret can be used; the URL comes from the task"
            endpoint = parse_endpoint(target.url, allowed_networks=allowed_networks())
        except ValueError as error:
            return False, str(error)
        return True, f"{mask_url(endpoint.url)} may be sent to; nothing was sent to test it"


def _masked(target: WebhookTarget) -> WebhookTarget:
    for secret in target.secrets:
        mask_secret(secret)
    return target


def target_of(connection: Connection) -> WebhookTarget:
    """
    Read a Connection.

    :param connection: a ``webhook`` or ``http`` Connection
    :raises ValueError: the Connection cannot be used; the text shows no secret
    """
    from airflow_registry_triggers.webhook.headers import check_headers
    from airflow_registry_triggers.webhook.signing import check_secret

    conn_id = str(connection.conn_id)
    read = ConnectionExtra(connection.extra_dejson, conn_id)
    is_http = connection.conn_type == "http"
    headers = _http_headers(connection) if is_http else _headers(read)
    signing = () if is_http else _signing_secrets(connection, read)
    try:
        check_headers(headers)
        for secret in signing:
            check_secret(secret)
    except ValueError as error:
        raise ValueError(f"Connection {conn_id!r}: {error}") from None
    return WebhookTarget(
        url=_url(connection, read, "http" if is_http else "https"),
        headers=headers,
        secret_query=read.text("secret_query").lstrip("?&"),
        signing_secrets=signing,
        ca_file=read.text("ca_file") or None,
    )


def _url(connection: Connection, read: ConnectionExtra, default_scheme: str) -> str:
    host = (connection.host or "").strip()
    if not host:
        return ""
    if "://" not in host:
        host = f"{connection.schema or default_scheme}://{host}"
    if connection.port:
        scheme, _, rest = host.partition("://")
        authority, slash, tail = rest.partition("/")
        host = f"{scheme}://{authority}:{connection.port}{slash}{tail}"
    path = read.text("path")
    return f"{host}/{path.lstrip('/')}" if path else host


def _headers(read: ConnectionExtra) -> dict[str, str]:
    given = read.extra.get("headers") or {}
    if isinstance(given, str):  # the form has a text field for it
        try:
            given = json.loads(given)
        except ValueError:
            given = None
    if not isinstance(given, Mapping) or not all(isinstance(value, str) for value in given.values()):
        example = '{"X-Team": "app"}'
        raise ValueError(f"Connection {read.conn_id!r}: headers must be a JSON object of texts: {example}")
    return {str(name): value for name, value in given.items()}


def _http_headers(connection: Connection) -> dict[str, str]:
    extra = connection.extra_dejson
    headers = {name: str(value) for name, value in extra.items() if name not in _HTTP_OPTIONS}
    if connection.login and not any(name.lower() == "authorization" for name in headers):
        pair = f"{connection.login}:{connection.password or ''}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
    return headers


def _signing_secrets(connection: Connection, read: ConnectionExtra) -> tuple[str, ...]:
    secrets = (connection.password or "", read.text("previous_signing_secret"))
    if secrets[1] and not secrets[0]:
        raise ValueError(
            f"Connection {read.conn_id!r}: previous_signing_secret needs a current one in the password field"
        )
    return tuple(secret for secret in secrets if secret)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    default = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    netloc = parts.netloc.lower()
    return parts.scheme, netloc.removesuffix(default)


def mask_header_secrets(headers: Any) -> None:
    """
    Have Airflow mask the values of headers that carry credentials.

    :param headers: what a template field was rendered to; anything but a mapping is left alone
    """
    from airflow_registry_triggers.webhook.redaction.fields import secret_header_values

    if isinstance(headers, Mapping):
        for secret in secret_header_values(headers):
            mask_secret(secret)


def mask_url_secrets(url: Any) -> None:
    """
    Have Airflow mask the secret parts of a URL: query values, userinfo, long path segments.

    :param url: what a template field was rendered to; anything but text is left alone
    """
    from airflow_registry_triggers.webhook.redaction.fields import url_secrets

    if isinstance(url, str):
        for secret in url_secrets(url):
            mask_secret(secret)
