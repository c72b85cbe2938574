# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Convert the texts of a file, and Python values, to the types of fields.

Each function returns the value in its type, or raises FaultyValue with the position of the fault.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airflow_registry_triggers.trigger_file.problems import FaultyValue, wrong_type
from airflow_registry_triggers.webhook.limits import MAX_TIMEOUT, MIN_TIMEOUT

__all__ = ["choice", "flag", "headers", "seconds", "statuses", "text", "text_or_texts", "texts"]

_NUMBER = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?")
_INTEGER = re.compile(r"-?[0-9]{1,9}")


def text(value: Any) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise FaultyValue(wrong_type("text", value))
    return value


def texts(value: Any) -> list[str]:
    """Return a list of texts."""
    if not isinstance(value, list | tuple):
        raise FaultyValue(wrong_type("a list", value))
    for position, item in enumerate(value):
        if not isinstance(item, str):
            raise FaultyValue(wrong_type("text", item), (position,))
    return list(value)


def text_or_texts(value: Any) -> str | list[str]:
    """Return a text or a list of texts."""
    if isinstance(value, Mapping):
        raise FaultyValue(wrong_type("text or a list", value))
    return texts(value) if isinstance(value, list | tuple) else text(value)


def headers(value: Any) -> dict[str, str]:
    """Return a mapping of texts."""
    if not isinstance(value, Mapping):
        raise FaultyValue(wrong_type("a mapping", value))
    for name, item in value.items():
        if not isinstance(item, str):
            raise FaultyValue(wrong_type("text", item), (str(name),))
    return dict(value)


def flag(value: Any, others: tuple[str, ...] = ()) -> Any:
    """Return True or False, or one of the other words."""
    if isinstance(value, bool) or (isinstance(value, str) and value in others):
        return value
    if value in ("true", "false"):
        return value == "true"
    expected = "true or false" if not others else f"true, false or {', '.join(others)}"
    raise FaultyValue(wrong_type(expected, value))


def choice(choices: tuple[str, ...], value: Any) -> str:
    """Return one of the choices."""
    if text(value) not in choices:
        raise FaultyValue(f"{value!a} is not one of {', '.join(choices)}")
    return str(value)


def seconds(value: Any) -> float:
    """Return a number of seconds."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value) if "." in value else int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FaultyValue(wrong_type("a number", value))
    if not MIN_TIMEOUT <= value <= MAX_TIMEOUT:
        raise FaultyValue(f"{value} is outside {MIN_TIMEOUT:g} to {MAX_TIMEOUT:g}")
    return float(value)


def statuses(value: Any) -> list[int]:
    """Return a list of HTTP statuses."""
    if not isinstance(value, list | tuple):
        raise FaultyValue(wrong_type("a list", value))
    statuses: list[int] = []
    for position, item in enumerate(value):
        number = int(item) if isinstance(item, str) and _INTEGER.fullmatch(item) else item
        if isinstance(number, bool) or not isinstance(number, int):
            raise FaultyValue(wrong_type("a number", item), (position,))
        if not 200 <= number <= 599:
            raise FaultyValue(f"{number} is outside 200 to 599", (position,))
        statuses.append(number)
    return statuses
