# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The headers of a webhook, put together in one place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from airflow_registry_triggers import __version__
from airflow_registry_triggers.webhook.signing import check_id, sign_all

if TYPE_CHECKING:
    from airflow_registry_triggers.webhook.body import Body

__all__ = ["USER_AGENT", "check_headers", "check_sendable", "request_headers"]

USER_AGENT = f"airflow-registry-triggers/{__version__}"

RESERVED_PREFIX = "webhook-"
FRAMING = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""What the sender sets itself or leaves out, since it says how the message is framed."""

# RFC 9110 5.6.2 token; 5.5 field value without obs-text, which aiohttp would send as UTF-8.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~]*")


def check_headers(headers: Mapping[str, str]) -> None:
    """
    Check the caller's own headers. The error names the header and never shows its value.

    :param headers: names and values
    :raises ValueError: one may not be set, or cannot be sent
    """
    check_sendable(headers)
    for name in headers:
        if name.lower() == "content-type" or name.lower().startswith(RESERVED_PREFIX):
            raise _reserved(name)


def check_sendable(headers: Mapping[str, str]) -> None:
    """
    Check headers of a request, ``Content-Type`` and ``webhook-*`` among them.

    :param headers: names and values
    :raises ValueError: one would change how the message is framed, or cannot be sent
    """
    if not isinstance(headers, Mapping):
        raise ValueError("headers: expected names and values, such as {'X-Team': 'app'}")
    seen: set[str] = set()
    for name, value in headers.items():
        _check_header(name, value)
        if name.lower() in seen:
            raise ValueError(f"header {name!r}: given twice, in another case; give it once")
        seen.add(name.lower())


def _reserved(name: str) -> ValueError:
    return ValueError(f"header {name!r}: may not be set, the sender sets it or leaves it out; remove it")


def _bad_name(name: object) -> ValueError:
    return ValueError(f"header {str(name)[:80]!a}: no valid name; letters, digits and hyphens are")


@lru_cache(maxsize=256)
def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise _bad_name(name)
    if name.lower() in FRAMING:
        raise _reserved(name)


def _check_header(name: object, value: object) -> None:
    if not isinstance(name, str):
        raise _bad_name(name)
    _check_name(name)
    if not isinstance(value, str):
        raise ValueError(f"header {name!r}: its value must be text, not {type(value).__name__}")
    if not (value.isascii() and value.isprintable()) and not _VALUE.fullmatch(value):
        raise ValueError(
            f"header {name!r}: its value has characters that may not be sent (CR, LF, NUL, other control "
            "characters or characters outside ASCII); remove or percent-encode them"
        )


def request_headers(
    headers: Mapping[str, str],
    body: Body,
    *,
    webhook_id: str,
    timestamp: int,
    signing_secrets: Sequence[str] = (),
) -> dict[str, str]:
    """
    Put the headers of one attempt together.

    :param headers: the caller's own; a ``User-Agent`` among them takes the place of the sender's
    :param body: what is sent; its own headers win over the caller's
    :param webhook_id: the same on each attempt
    :param timestamp: whole seconds since the epoch, of this attempt
    :param signing_secrets: none, one or two, current first; default none
    :raises ValueError: a header, the id or a secret cannot be used
    """
    check_headers(headers)
    check_id(webhook_id)
    ours = {
        "Content-Type": body.content_type,
        **body.headers,
        "webhook-id": webhook_id,
        "webhook-timestamp": str(timestamp),
    }
    if signing_secrets:
        ours["webhook-signature"] = sign_all(signing_secrets, webhook_id, timestamp, body.content)
    taken = {name.lower() for name in ours}
    own = {name: value for name, value in headers.items() if name.lower() not in taken}
    if not any(name.lower() == "user-agent" for name in own):
        own = {"User-Agent": USER_AGENT, **own}
    return {**own, **ours}
