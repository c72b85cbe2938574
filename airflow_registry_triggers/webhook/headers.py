# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The headers of a webhook, and the checks on them."""

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
"""Headers that frame the message: the sender sets them itself or omits them."""

# RFC 9110 5.6.2 token; 5.5 field value without obs-text, which aiohttp would send as UTF-8.
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t -~]*")


def check_headers(headers: Mapping[str, str]) -> None:
    """
    Check the headers of a task or Connection. The error names the header and never shows its value.

    :param headers: names and values
    :raises ValueError: a header is reserved or cannot be sent
    """
    check_sendable(headers)
    for name in headers:
        if name.lower() == "content-type" or name.lower().startswith(RESERVED_PREFIX):
            raise _reserved(name)


def check_sendable(headers: Mapping[str, str]) -> None:
    """
    Check the headers of a request, including ``Content-Type`` and ``webhook-*``.

    :param headers: names and values
    :raises ValueError: a header would change the framing of the message, or cannot be sent
    """
    if not isinstance(headers, Mapping):
        raise ValueError("headers must be a mapping of names and values, such as {'X-Team': 'app'}")
    seen: set[str] = set()
    for name, value in headers.items():
        _check_header(name, value)
        if name.lower() in seen:
            raise ValueError(f"header {name!r} is set twice, in different case; set it once")
        seen.add(name.lower())


def _reserved(name: str) -> ValueError:
    return ValueError(f"header {name!r} is reserved for the sender; remove it")


def _bad_name(name: object) -> ValueError:
    return ValueError(f"header {str(name)[:80]!a} is not a valid name; use letters, digits and hyphens")


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
        raise ValueError(f"header {name!r} must be text, not {type(value).__name__}")
    if not (value.isascii() and value.isprintable()) and not _VALUE.fullmatch(value):
        raise ValueError(
            f"header {name!r} contains characters that cannot be sent (CR, LF, NUL, other control characters "
            "or characters outside ASCII); remove or percent-encode them"
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
    Return the headers of one attempt.

    :param headers: headers of the task and the Connection; a ``User-Agent`` replaces the sender's
    :param body: the body; its headers replace those of the task
    :param webhook_id: id of the delivery, the same on each attempt
    :param timestamp: whole seconds since the epoch, of this attempt
    :param signing_secrets: at most two, current first
    :raises ValueError: a header, the id or a secret is invalid
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
