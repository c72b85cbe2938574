# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The extra of a Connection, read with errors that name the Connection and the field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ConnectionExtra"]


class ConnectionExtra:
    """
    The extra of a Connection.

    An empty text counts as absent: a form sends it for a field that was left alone.

    :param extra: the extra as a mapping
    :param conn_id: the Connection, for error texts
    """

    def __init__(self, extra: Mapping[str, Any], conn_id: str) -> None:
        self.extra = extra
        self.conn_id = conn_id

    def wrong(self, name: str, wanted: str) -> ValueError:
        """Make the error of a field; never asked about one that holds a secret."""
        return ValueError(f"Connection {self.conn_id!r}: {name}={self.extra.get(name)!r} must be {wanted}")

    def text(self, name: str, default: str = "") -> str:
        """Read text."""
        value = self.extra.get(name)
        if value is None or value == "":
            return default
        if not isinstance(value, str):
            raise self.wrong(name, "text")
        return value

    def number(self, name: str, default: float, at_least: float) -> float:
        """Read a number."""
        value = self.extra.get(name)
        if value is None or value == "":
            return default
        try:
            number = float(value)
        except (TypeError, ValueError):
            raise self.wrong(name, f"a number, at least {at_least:g}") from None
        if isinstance(value, bool) or not at_least <= number < float("inf"):
            raise self.wrong(name, f"a number, at least {at_least:g}")
        return number

    def flag(self, name: str, default: bool) -> bool:
        """Read a truth value, also as the text a form or a URI gives."""
        value = self.extra.get(name)
        if value is None or value == "":
            return default
        known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
        answer = known.get(str(value).lower())
        if answer is None:
            raise self.wrong(name, "true or false")
        return answer
