# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The proxy of a request: the Connection's, else the environment's."""

from __future__ import annotations

import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from yarl import URL

from airflow_registry_triggers.registry.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Proxies", "Proxy", "parse_proxy"]


@dataclass(frozen=True, slots=True)
class Proxy:
    """
    An HTTP proxy.

    :param url: with its login
    :param name: the URL without its login, for logs and errors
    """

    url: URL = field(repr=False)
    name: str


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
    except ValueError:
        url, usable = URL(), False
    if not usable:
        # Any part of a text that cannot be read may be a password, so none of it is shown.
        raise ValueError(
            f"{source} is not the URL of a proxy (its value is not shown, as it may contain a login). "
            "Use http://host:port or http://user:password@host:port"
        ) from None
    return Proxy(url.origin() if url.user is None else url.with_path("/"), str(url.origin()))


class Proxies:
    """
    Choose a proxy for each origin.

    :param explicit: the Connection's proxy; it applies to every request. Without it, ``HTTPS_PROXY``,
        ``HTTP_PROXY`` and ``NO_PROXY`` apply as Python's ``urllib`` reads them
    :param on_secret: called with the password of each proxy that is used
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
            if proxy is not None and proxy.url.password:
                self._on_secret(proxy.url.password)
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
