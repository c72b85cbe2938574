# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The proxy of a request: the Connection's, else the environment's."""

from __future__ import annotations

import base64
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from yarl import URL

from airflow_registry_triggers.registry.errors import INVALID_URL, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Proxies", "Proxy", "parse_proxy"]


@dataclass(frozen=True, slots=True)
class Proxy:
    """
    An HTTP proxy.

    :param url: without its login
    :param username: empty without a login
    :param password: password of the login
    """

    url: URL
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @property
    def name(self) -> str:
        """The URL without the login, for logs and errors."""
        return str(self.url.origin())

    @property
    def headers(self) -> dict[str, str]:
        """The header with the login, in UTF-8 (RFC 7617); empty without a login."""
        return {"Proxy-Authorization": f"Basic {self._basic}"} if self.username else {}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that logs must mask."""
        return (self.password, self._basic) if self.password else ()

    @property
    def _basic(self) -> str:
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


def parse_proxy(text: str, source: str = "proxy") -> Proxy:
    """
    Return the proxy that a text describes.

    :param text: such as ``http://user:password@proxy:3128`` or ``proxy:3128``
    :param source: the name of the setting, for errors
    :raises ValueError: the text is not a proxy's URL; the message contains no login
    """
    try:
        url = URL(text.strip() if "://" in text else f"http://{text.strip()}")
        usable = url.scheme in ("http", "https") and bool(url.host) and url.port != 0
        usable = usable and text.strip().isprintable() and " " not in text.strip()
    except INVALID_URL:
        url, usable = URL(), False
    username, password = url.user or "", url.password or ""
    # RFC 7617: a colon ends the user name, and no control character is allowed.
    if not usable or ":" in username or not (username + password).isprintable():
        # Any part of a text that cannot be read may be a password, so none of it is shown.
        raise ValueError(
            f"{source} is not the URL of a proxy (its value is not shown, as it may contain a login). "
            "Use http://host:port or http://user:password@host:port"
        ) from None
    return Proxy(url.origin(), username, password)


class Proxies:
    """
    Choose a proxy for each origin.

    :param explicit: the Connection's proxy; it applies to every request. Without it, ``HTTPS_PROXY``,
        ``HTTP_PROXY`` and ``NO_PROXY`` apply as Python's ``urllib`` reads them
    :param on_secret: called with the password of each proxy that is used, and its encoded login
    """

    def __init__(self, explicit: Proxy | None, on_secret: Callable[[str], None]) -> None:
        self._explicit = explicit
        self._on_secret = on_secret
        self._chosen: dict[URL, Proxy | None] = {}

    def proxy_for(self, url: URL) -> Proxy | None:
        """
        Return the proxy for a URL, None for a direct connection.

        :raises RegistryError: ``proxy``, if the environment's value is not a proxy's URL
        """
        origin = url.origin()
        if origin not in self._chosen:
            proxy = self._explicit or _from_environment(origin)
            for secret in proxy.secrets if proxy is not None else ():
                self._on_secret(secret)
            if len(self._chosen) >= 100:  # a registry chooses the origins of its redirects
                self._chosen.clear()
            self._chosen[origin] = proxy
        return self._chosen[origin]


def _from_environment(origin: URL) -> Proxy | None:
    text = urllib.request.getproxies().get(origin.scheme)
    if not text or urllib.request.proxy_bypass(origin.host_port_subcomponent or ""):
        return None
    try:
        return parse_proxy(text, f"{origin.scheme.upper()}_PROXY")
    except ValueError as error:
        problem = f"{error}, or set proxy on the Connection"
    raise RegistryError(f"{origin}: {problem}.", kind="proxy", everywhere=True, transient=False)
