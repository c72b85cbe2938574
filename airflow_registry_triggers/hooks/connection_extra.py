# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The extra of a Connection, with errors that name the Connection and the field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HTTP_OPTIONS", "ConnectionExtra", "without_conn_id"]

HTTP_OPTIONS = frozenset(
    {
        "allow_redirects",
        "ca_file",
        "cert",
        "check_response",
        "max_redirects",
        "proxies",
        "proxy",
        "srv_lookup",
        "stream",
        "timeout",
        "trust_env",
        "verify",
        "verify_ssl",
    }
)
"""Keys of an http Connection's extra that the http provider does not send as headers."""

_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class ConnectionExtra:
    """
    Read values of a Connection's extra. An empty text counts as absent: forms send it for empty fields.

    :param extra: the extra as a mapping
    :param conn_id: id of the Connection, for errors
    """

    def __init__(self, extra: Mapping[str, Any], conn_id: str) -> None:
        self.extra = extra
        self.conn_id = conn_id

    def wrong(self, name: str, wanted: str) -> ValueError:
        """
        Return the error of a field. It quotes the value, so do not use it for a secret.

        :param name: key of the field
        :param wanted: description of a valid value
        """
        return ValueError(f"Connection {self.conn_id!r}: {name}={self.extra.get(name)!r} must be {wanted}")

    def has(self, name: str) -> bool:
        """Return True if the field is set."""
        return self.extra.get(name) not in (None, "")

    def text(self, name: str, default: str = "") -> str:
        """Return the text of a field."""
        if not self.has(name):
            return default
        value = self.extra[name]
        if not isinstance(value, str):
            raise self.wrong(name, "text")
        return value

    def secret(self, name: str) -> str:
        """Return the text of a field that may hold a secret; the error does not quote the value."""
        if not self.has(name):
            return ""
        value = self.extra[name]
        if not isinstance(value, str):
            raise ValueError(f"Connection {self.conn_id!r}: {name} must be text")
        return value

    def number(self, name: str, default: float, at_least: float) -> float:
        """Return the number of a field, as a number or as text."""
        if not self.has(name):
            return default
        value = self.extra[name]
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            number = float("nan")
        if isinstance(value, bool) or not at_least <= number < float("inf"):
            raise self.wrong(name, f"a number, at least {at_least:g}")
        return number

    def integer(self, name: str, default: int, at_least: int) -> int:
        """Return the integer of a field, as a number or as text."""
        number = self.number(name, default, at_least)
        if number != int(number):
            raise self.wrong(name, f"a whole number, at least {at_least}")
        return int(number)

    def flag(self, name: str, default: bool) -> bool:
        """Return the truth value of a field, as a boolean or as text."""
        if not self.has(name):
            return default
        answer = _FLAGS.get(str(self.extra[name]).lower())
        if answer is None:
            raise self.wrong(name, "true or false")
        return answer


def without_conn_id(text: str, conn_id: str) -> str:
    """
    Return a text without the id of a Connection: while Airflow tests a Connection, its id is a random one.

    :param text: an error that may name the Connection
    """
    text = text.replace(f"Connection {conn_id!r}: ", "")
    return text.replace(f"Connection {conn_id!r}", "the Connection").replace("the the ", "the ")
