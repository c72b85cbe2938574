# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Read the JSON body of a webhook by the paths of its keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import parse_qs

__all__ = ["MAX_ITEMS", "Fields", "Headers", "NotUnderstood", "lower_names", "parse_body"]

Headers = Mapping[str, str]
"""Headers by name; :func:`lower_names` makes the names comparable."""

MAX_ITEMS = 10_000
"""
Items of a list that are read.

A push event needs more than 105 bytes, so a webhook of 1 MiB never has more. Without a limit, 350,000 empty
objects would cost 3 s of a core.
"""

_FORM = "application/x-www-form-urlencoded"
_MAX_FORM_FIELDS = 100


class NotUnderstood(ValueError):
    """
    A body that is not JSON, not of a known sender, or a push with a key missing.

    The text names the key and never shows a value of the body.
    """


class Fields:
    """
    A JSON value whose keys are read by paths such as ``target.repository``.

    :param value: parsed JSON
    :param path: of the value in the body, for error texts; ends with a dot
    """

    __slots__ = ("_path", "_value")

    def __init__(self, value: object, path: str = "") -> None:
        self._value = value
        self._path = path

    @property
    def is_object(self) -> bool:
        """True if the value is a JSON object."""
        return isinstance(self._value, Mapping)

    def get(self, path: str) -> object:
        """Return the value at a path, None if it is absent."""
        value = self._value
        for key in path.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def has(self, path: str) -> bool:
        """Return True if the body has a key, even if its value is null."""
        parent, _, key = path.rpartition(".")
        value = self.get(parent) if parent else self._value
        return isinstance(value, Mapping) and key in value

    def text(self, path: str) -> str:
        """Return the text at a path, empty if it is absent or not text."""
        value = self.get(path)
        return value if isinstance(value, str) else ""

    def required(self, path: str) -> str:
        """
        Return the text at a path.

        :raises NotUnderstood: absent, empty or not text
        """
        text = self.text(path)
        if not text:
            raise self.missing(path)
        return text

    def within(self, path: str) -> Fields:
        """Return the value at a path, with the same ways to read it."""
        return Fields(self.get(path), f"{self._path}{path}.")

    def each(self, path: str) -> list[Fields]:
        """
        Return the items of the list at a path, at most :data:`MAX_ITEMS`.

        :raises NotUnderstood: absent or not a list
        """
        items = self.get(path)
        if not isinstance(items, list):
            raise self.missing(path, "a list")
        return [Fields(item, f"{self._path}{path}[].") for item in items[:MAX_ITEMS]]

    def missing(self, path: str, expected: str = "text") -> NotUnderstood:
        """
        Return the error for a key that is absent or has a value of another kind.

        :param expected: the kind of value, with its article
        """
        return NotUnderstood(f"the key {self._path}{path} is missing or is not {expected}")


def lower_names(headers: Headers) -> dict[str, str]:
    """Return the headers with names in lower case, as HTTP compares them without regard to case."""
    return {name.lower(): value for name, value in headers.items()}


def parse_body(body: bytes, headers: Headers) -> object:
    """
    Parse the body of a webhook: JSON, or a form with JSON in its field ``payload``.

    :param headers: names in lower case
    :raises NotUnderstood: not JSON, or an array of more than :data:`MAX_ITEMS` items
    """
    value = _parse_json(body, headers)
    if isinstance(value, list) and len(value) > MAX_ITEMS:
        raise NotUnderstood(f"the array has more than {MAX_ITEMS} items")
    return value


def _parse_json(body: bytes, headers: Headers) -> object:
    if headers.get("content-type", "").strip().lower().startswith(_FORM):
        body = _form_payload(body) or body
    try:
        return json.loads(body)
    except (ValueError, TypeError, RecursionError):
        pass
    # Raised outside the handler: a JSONDecodeError carries the whole body.
    raise NotUnderstood("the body is not JSON")


def _form_payload(body: bytes) -> bytes:
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=_MAX_FORM_FIELDS)
        return fields["payload"][0].encode()
    except (ValueError, KeyError):
        return b""
