# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Signatures of Standard Webhooks 1.0.0: HMAC-SHA256 over ``id.timestamp.body``."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MAX_SECRETS", "check_id", "check_secret", "sign", "sign_all"]

MAX_SECRETS = 2
"""Secrets that sign at once: the current one, and the previous one during a rotation."""

PREFIX = "whsec_"
MIN_BYTES, MAX_BYTES = 24, 64


def check_secret(secret: str) -> bytes:
    """
    Return the key of a signing secret. The error never shows the secret.

    :param secret: base64 of 24 to 64 bytes, with or without the prefix ``whsec_``
    :raises ValueError: the text is not a signing secret
    """
    if not isinstance(secret, str):
        raise ValueError(f"the signing secret must be text, not {type(secret).__name__}")
    text = secret.removeprefix(PREFIX)
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        key = None
    if key is None or base64.b64encode(key).decode() != text:
        raise ValueError(
            f"the signing secret must be {PREFIX} and strict base64 (A-Z a-z 0-9 + / =, no white space)"
        )
    if not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise ValueError(
            f"the signing secret has {len(key)} bytes, but it must have {MIN_BYTES} to {MAX_BYTES}; use "
            f"{PREFIX} and the base64 of 32 random bytes"
        )
    return key


def check_id(webhook_id: str) -> None:
    """
    Check the id of a webhook.

    :param webhook_id: the id
    :raises ValueError: the id is empty, or contains a full stop
    """
    if not isinstance(webhook_id, str) or not webhook_id or "." in webhook_id:
        raise ValueError(
            f"webhook-id {webhook_id!a} must be text without a full stop, which separates the signed parts"
        )


def sign(secret: str, webhook_id: str, timestamp: int, body: bytes) -> str:
    """
    Return the signature of one attempt.

    :param secret: see :func:`check_secret`
    :param webhook_id: the id, without a full stop
    :param timestamp: whole seconds since the epoch, of this attempt
    :param body: the bytes that are sent
    :return: ``v1,`` and the base64 of the signature
    :raises ValueError: the secret or the id is invalid
    """
    key = check_secret(secret)
    check_id(webhook_id)
    if not isinstance(timestamp, int) or isinstance(timestamp, bool):
        raise ValueError(f"webhook-timestamp {timestamp!a} must be whole seconds since the epoch")
    signed = b".".join((webhook_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def sign_all(secrets: Sequence[str], webhook_id: str, timestamp: int, body: bytes) -> str:
    """
    Return the signatures of one attempt, one for each secret.

    :param secrets: one or two, current first
    :param webhook_id: see :func:`sign`
    :param timestamp: see :func:`sign`
    :param body: see :func:`sign`
    :return: value of ``webhook-signature``: signatures in the order of the secrets, separated by spaces
    :raises ValueError: there are more than two secrets, or a secret is invalid
    """
    if isinstance(secrets, str) or len(secrets) > MAX_SECRETS:
        raise ValueError(f"signing_secrets must be a list of at most {MAX_SECRETS} secrets, current first")
    return " ".join(sign(secret, webhook_id, timestamp, body) for secret in secrets)
