# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Limits of the texts in an access record: a notification may come from a conf or a foreign asset event."""

from __future__ import annotations

import json

__all__ = ["LIMITS", "shortened"]

NAME_LIMIT = 512
"""Bytes of JSON of a name: a repository, a tag, a digest, or ``<dag_id>.<task_id>``."""

_ID_LIMIT = 480
"""Bytes of JSON of an id: the access log page finds an entry by an id of at most 500 characters."""

_TEXT_LIMIT = 4096
"""Bytes of JSON of a sentence, a URL or a rule."""

LIMITS = {
    "trigger_name": NAME_LIMIT,
    "trigger_log_id": _ID_LIMIT,
    "trigger_url": _TEXT_LIMIT,
    "trigger_type": NAME_LIMIT,
    "trigger_tag": _TEXT_LIMIT,
    "repo_event": NAME_LIMIT,
    "notification_id": _ID_LIMIT,
    "registry": NAME_LIMIT,
    "repository": NAME_LIMIT,
    "tag": NAME_LIMIT,
    "digest": NAME_LIMIT,
    "reason": _TEXT_LIMIT,
}
"""Field of a record to its bytes of JSON."""

_ELLIPSIS = "…"


def shortened(text: str, limit: int = NAME_LIMIT) -> str:
    """
    Return a text, or its beginning and an ellipsis if it is too long.

    :param limit: bytes of JSON without the quotes
    """
    if len(text) <= limit and _size(text) <= limit:
        return text
    room = limit - _size(_ELLIPSIS)
    for at, char in enumerate(text):
        room -= _size(char)
        if room < 0:
            return text[:at] + _ELLIPSIS
    return text


def _size(text: str) -> int:
    return len(json.dumps(text)) - len('""')
