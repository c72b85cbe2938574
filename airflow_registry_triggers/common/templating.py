# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Which arguments can be checked while a Dag is parsed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["is_literal"]

_TEMPLATE_MARKS = ("{{", "{%", "{#")


def is_literal(value: Any) -> bool:
    """
    Return True if the value is literal: it contains no template and no XComArg.

    :param value: an argument of an operator
    """
    if isinstance(value, str):
        return not any(mark in value for mark in _TEMPLATE_MARKS)
    if isinstance(value, Mapping):
        return all(is_literal(item) for item in (*value.keys(), *value.values()))
    if isinstance(value, list | tuple | set | frozenset):
        return all(is_literal(item) for item in value)
    return value is None or isinstance(value, int | float)
