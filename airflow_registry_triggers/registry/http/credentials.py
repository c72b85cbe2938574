# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The login of a registry: fixed here, or renewed by any object with the same three members."""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Credentials", "Login"]

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NOT_IN_HEADER = re.compile(r"[^\x21-\x7e]")
_NAMES = {"\n": "a line feed", "\r": "a carriage return", "\t": "a tab", " ": "a space", "\0": "a NUL"}


class Login(Protocol):
    """A source of credentials. :class:`Credentials` is the one that never changes."""

    @property
    def key(self) -> str:
        """A hash that stays the same when the credentials are renewed; it identifies shared state."""

    async def current(self) -> Credentials:
        """Return credentials that are valid now."""

    def reject(self, used: Credentials) -> bool:
        """
        Drop credentials that the registry rejected with 401.

        :return: whether new credentials can be fetched
        """


@dataclass(frozen=True, slots=True)
class Credentials:
    """
    A user name and password; both empty for an anonymous client.

    :param username: None or empty with a password: the password is a bearer token for the registry itself
    :param password: password or token
    :param source: origin of credentials that are not part of the Connection, for errors, such as
        ``Connection 'aws_default'``
    """

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    source: str = field(default="", compare=False)

    @property
    def key(self) -> str:
        """See :attr:`Login.key`."""
        return hashlib.sha256(repr((self.username, self.password)).encode()).hexdigest()

    async def current(self) -> Credentials:
        """Return the credentials themselves."""
        return self

    def reject(self, used: Credentials) -> bool:
        """Return False: fixed credentials cannot be renewed."""
        return False

    @property
    def is_anonymous(self) -> bool:
        """Whether there is neither a user name nor a password."""
        return not self.username and not self.password

    @property
    def basic(self) -> str | None:
        """The ``Authorization`` header for Basic, None without a user name."""
        if not self.username:
            return None
        pair = f"{self.username}:{self.password or ''}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    @property
    def bearer(self) -> str | None:
        """The ``Authorization`` header for a password without a user name."""
        return f"Bearer {self.password}" if self.password and not self.username else None

    @property
    def problem(self) -> str | None:
        """
        The reason why no server can accept the credentials, None if they are valid.

        RFC 7617 forbids control characters in both parts; a header cannot contain a line end.
        """
        for name, value in (("login", self.username or ""), ("password", self.password or "")):
            if found := _CONTROL.search(value):
                return f"the {name} contains {_described(found[0], found.start(), value)}. Remove it"
        if not self.username and (found := _NOT_IN_HEADER.search(self.password or "")):
            where = _described(found[0], found.start(), self.password or "")
            return f"the password without a login is a token, but it contains {where}. Remove it"
        return None

    @property
    def hint(self) -> str:
        """A remark on white space that is part of the credentials by mistake, empty if there is none."""
        for name, value in (("login", self.username or ""), ("password", self.password or "")):
            if value != value.strip():
                return f" The {name} begins or ends with white space."
        return ""


def _described(character: str, at: int, value: str) -> str:
    code = ord(character)
    name = _NAMES.get(character) or unicodedata.name(character, "").lower()
    name = name or f"the control character U+{code:04X}"
    place = " at its end" if not value[at:].strip() else " at its start" if not value[:at].strip() else ""
    return f"{name}{place}"
