# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Where a registry is, and how it is called."""

from __future__ import annotations

from yarl import URL

__all__ = ["base_of", "registry_name"]


def base_of(text: str) -> URL:
    """
    Read the base URL of a registry.

    :param text: such as ``https://registry.example.com`` or ``http://[::1]:5000/prefix``
    :raises ValueError: it is no such URL; the text leaves out what may be a password
    """
    url = _parsed(text)
    if url is None or url.scheme not in ("http", "https") or not url.host:
        raise ValueError(
            f"base URL {_without_login(text)!a}: expected http:// or https://, a host, and a port if needed"
        )
    if url.user is not None or url.password is not None:
        raise ValueError(
            f"base URL {_without_login(text)!a}: leave the login out of it; give username and password"
        )
    if url.query_string or url.fragment:
        raise ValueError(f"base URL {_without_login(text)!a}: a query or fragment has no meaning here")
    return url.with_path(url.raw_path.rstrip("/") or "/", encoded=True)


def registry_name(base: URL) -> str:
    """
    Name a registry as in ids and events: ``host[:port][/prefix]``.

    :param base: what :func:`base_of` gave
    """
    return f"{base.host_port_subcomponent}{base.raw_path.rstrip('/')}"


def _parsed(text: object) -> URL | None:
    if not isinstance(text, str) or not text.isprintable() or " " in text:
        return None
    try:
        url = URL(text)
        _ = url.port
    except ValueError:
        return None
    return None if url.port == 0 else url


def _without_login(text: object) -> str:
    """Leave out of a URL what may be a secret: a login, a query, a fragment."""
    before, at, after = str(text).partition("?")[0].partition("#")[0].rpartition("@")
    scheme = before.partition("://")[0]
    return f"{scheme}://...@{after}" if at else after
