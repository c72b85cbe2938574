# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The proxy through which webhooks leave the network. Only the deployment sets it."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

__all__ = ["PROXY_OPTION", "Proxy", "parse_proxy"]

PROXY_OPTION = "[registry_triggers] webhook_proxy"

_EXAMPLE = "http://proxy.example.com:3128"


@dataclass(frozen=True, slots=True)
class Proxy:
    """
    A proxy.

    :param host: name or address, without brackets
    :param port: port
    :param login: user name, empty without a login
    :param password: password of the login
    """

    host: str
    port: int
    login: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The URL without the login."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def authorization(self) -> str:
        """The value of ``Proxy-Authorization``."""
        return f"Basic {base64.b64encode(f'{self.login}:{self.password}'.encode()).decode()}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must not be recorded: the password, and the login in each form that is sent."""
        if not self.password:
            return ()
        basic = self.authorization
        return (
            self.password,
            quote(self.password, ""),
            f"{self.login}:{self.password}",
            basic.split()[1],
            basic,
        )


def parse_proxy(text: str) -> Proxy | None:
    """
    Read the URL of a proxy.

    :param text: such as ``http://user:password@proxy.example.com:3128``; empty for no proxy
    :raises ValueError: the text is not such a URL; the error never shows it, because of the login
    """
    if not text.strip():
        return None
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        raise _invalid("it cannot be read as a URL") from None
    if parts.scheme.lower() != "http":
        raise _invalid("its scheme is not http")
    if not host or port is None:
        raise _invalid("its host or its port is missing")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise _invalid("text follows its port")
    login = unquote(parts.username or "")
    if ":" in login:
        raise _invalid("its login contains a colon, which RFC 7617 does not allow")
    return Proxy(host, port, login, unquote(parts.password or ""))


def _invalid(detail: str) -> ValueError:
    return ValueError(
        f"{PROXY_OPTION} is not the URL of a proxy: {detail}. Set it to a URL such as {_EXAMPLE}."
    )
