# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A tag as a registry's own API reports it, and the values of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from airflow_registry_triggers.oci_names import is_digest, is_tag

__all__ = ["ApiRefused", "ReportedTag", "reported_tag", "rows_of", "seconds_of"]


class ApiRefused(Exception):
    """
    The API does not list the repository, and a later request would not either.

    :param text: the URL without secrets, and the problem
    """


class ReportedTag(NamedTuple):
    """
    A tag in a bulk listing. Only a HEAD proves its digest.

    :param name: the tag
    :param digest: the reported digest; None if the API reports none
    :param changed_at: the reported time of its last change, in seconds since the epoch; None if unknown
    """

    name: str
    digest: str | None
    changed_at: float | None


def reported_tag(name: object, digest: object, changed_at: float | None) -> ReportedTag | None:
    """
    Return a tag from values of an API, None if the name is not a valid tag.

    :param digest: any value; one that is not a digest counts as unknown
    """
    if not is_tag(name):
        return None
    return ReportedTag(str(name), str(digest) if is_digest(digest) else None, changed_at)


def rows_of(body: object, name: str, where: str) -> list[Mapping[str, Any]]:
    """
    Return the objects of a list in an answer, None values and other values left out.

    :param body: the parsed answer
    :param name: key of the list; empty if the answer is the list
    :param where: the URL as errors show it
    :raises ApiRefused: the answer does not contain this list
    """
    rows = body if not name else body.get(name, ()) if isinstance(body, Mapping) else None
    # An empty list may be null, but an answer without the list comes from something else.
    if rows is None and isinstance(body, Mapping) and name in body:
        rows = []
    if not isinstance(rows, list):
        raise ApiRefused(f"{where}: the answer is not a list of tags")
    return [row for row in rows if isinstance(row, Mapping)]


def seconds_of(text: object) -> float | None:
    """
    Return the seconds since the epoch of an ISO 8601 time, None if the value is not one.

    :param text: such as ``2026-01-31T12:00:00.1234567Z``; a time without a zone is UTC
    """
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
