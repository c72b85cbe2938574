# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Signatures as Standard Webhooks 1.0.0 has them: HMAC-SHA256 over ``id.timestamp.body``."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MAX_SECRETS", "check_id", "check_secret", "sign", "sign_all"]

MAX_SECRETS = 2
"""Secrets that may sign at once: the current one and, while a receiver changes over, the one before it."""

PREFIX = "whsec_"
MIN_BYTES, MAX_BYTES = 24, 64


def check_secret(secret: str) -> bytes:
    """
    Read a signing secret. The error never shows it.

    :param secret: base64 of 24 to 64 bytes, ``whsec_`` may stand before it
    :return: the key
    :raises ValueError: it is none
    """
    if not isinstance(secret, str):
        raise ValueError(f"signing secret: expected text, not {type(secret).__name__}")
    text = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = None
    if key is None or base64.b64encode(key).decode() != text:
        raise ValueError(
            f"signing secret: expected {PREFIX} and strict base64 (A-Z a-z 0-9 + / =, no white space)"
        )
    if not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise ValueError(
            f"signing secret: it has {len(key)} bytes; {MIN_BYTES} to {MAX_BYTES} are wanted, such as "
            f"{PREFIX} and the base64 of 32 random bytes"
        )
    return key


def check_id(webhook_id: str) -> None:
    """
    Check the id of a webhook.

    :param webhook_id: the id
    :raises ValueError: it is empty, or has a full stop
    """
    if not isinstance(webhook_id, str) or not webhook_id or "." in webhook_id:
        raise ValueError(
            f"webhook-id {webhook_id!a}: expected text without a full stop, which separates what is signed"
        )


def sign(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """
    Sign one attempt.

    :param secret: see :func:`check_secret`
    :param webhook_id: the id, without a full stop
    :param timestamp: whole seconds since the epoch, of this attempt
    :param body: the bytes that are sent
    :return: ``v1,`` and the base64 of the signature
    :raises ValueError: the secret or the id cannot be used
    """
    key = check_secret(secret)
    check_id(webhook_id)
    if not isinstance(timestamp, int) or isinstance(timestamp, bool):
        raise ValueError(f"webhook-timestamp {timestamp!a}: expected whole seconds since the epoch")
    signed = b".".join((webhook_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def sign_all(secrets: Sequence[str], webhook_id: str, timestamp: int, body: bytes) -> str:
    """
    Sign one attempt with each secret.

    :param secrets: one or two, current first
    :param webhook_id: see :func:`sign`
    :param timestamp: see :func:`sign`
    :param body: see :func:`sign`
    :return: the value of ``webhook-signature``: signatures with spaces between them, in the secrets' order
    :raises ValueError: more than two secrets, or one that cannot be used
    """
    if isinstance(secrets, str) or len(secrets) > MAX_SECRETS:
        raise ValueError(f"at most {MAX_SECRETS} signing secrets may be given, as a list, current first")
    return " ".join(sign(secret, webhook_id, timestamp, body) for secret in secrets)
