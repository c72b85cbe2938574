# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Names of hosts that a registry sends the client to, as errors show them: they can repeat the login."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from yarl import URL

    from airflow_registry_triggers.registry.http.credentials import Credentials

__all__ = ["HostNames"]

_MASK = "***"
_MIN_SECRET = 4
_MAX_SECRET = 253  # of a longer secret, no host name is an echo
_LONG_LABEL = 20
_MAX_LEARNED = 8
_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]")


class HostNames:
    """
    Show the hosts that a registry names in redirects and challenges.

    A host that contains a secret, as it is, in hexadecimal or in base64, becomes ``***``. Case, dots and
    hyphens are ignored. Of other hosts, labels of 20 and more characters become ``***``.

    :param base: base URL of the registry; its host is shown as it is
    """

    def __init__(self, base: URL) -> None:
        self._own = (base.raw_host or "").lower()
        self._learned: deque[str] = deque(maxlen=_MAX_LEARNED)

    def learn(self, credentials: Credentials) -> None:
        """Record credentials; the last four are searched for."""
        password = credentials.password or ""
        for secret in (password, f"{credentials.username or ''}:{password}"):
            if password and secret not in self._learned:
                self._learned.append(secret)

    def host(self, url: URL, secrets: Iterable[str] = ()) -> str:
        """
        Return the host of a URL as errors show it.

        :param secrets: further secrets that the host may repeat, such as a token
        """
        host = (url.raw_host or "").lower()
        if host == self._own:
            return url.host or host
        squeezed = _squeezed(host)
        if any(form in squeezed for secret in (*self._learned, *secrets) for form in _forms(secret)):
            return _MASK
        if _is_address(host):
            return host
        own = self._own.split(".")
        labels = host.split(".")
        return ".".join(_MASK if len(name) >= _LONG_LABEL and name not in own else name for name in labels)

    def authority(self, url: URL, secrets: Iterable[str] = ()) -> str:
        """Return the host, and the port if it is not the default of the scheme."""
        host = self.host(url, secrets)
        host = f"[{host}]" if ":" in host else host
        return host if url.is_default_port() else f"{host}:{url.port}"

    def origin(self, url: URL, secrets: Iterable[str] = ()) -> str:
        """Return the scheme, host and port of a URL."""
        return f"{url.scheme}://{self.authority(url, secrets)}"


def _is_address(host: str) -> bool:
    try:
        return bool(ipaddress.ip_address(host.partition("%")[0]))
    except ValueError:
        return False


def _squeezed(text: str) -> str:
    return _NOT_ALPHANUMERIC.sub("", text.lower())


def _forms(secret: str) -> Iterator[str]:
    """Yield the forms of a secret in a host name, which has neither case nor characters of its own."""
    if not _MIN_SECRET <= len(secret) <= _MAX_SECRET:
        return
    data = secret.encode()
    texts = [secret, data.hex(), base64.b32encode(data).decode().rstrip("=")[:-1]]
    for offset, start in ((0, 0), (1, 2), (2, 3)):
        # Without the characters at both ends, which depend on the bytes around the secret.
        texts.append(base64.b64encode(b"\0" * offset + data)[start : (offset + len(data)) * 8 // 6].decode())
    yield from (form for text in texts if len(form := _squeezed(text)) >= _MIN_SECRET)
