# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The status of watchers as it is stored: one row for each asset, in values of at most 40 KB."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.registry.errors import RegistryError, StormHeld

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["KEY_PREFIX", "MAX_NOTE", "MAX_VALUE", "Layout", "WatcherStatus", "kind_of", "note_of"]

KEY_PREFIX = "watchers/"
"""Beginning of the keys on the shared state asset; ``<host>-<pid>/<number>`` follows."""

MAX_VALUE = 40_000
"""Characters of JSON in one value. The limit of Airflow's REST API is 65,535 bytes."""

MAX_NOTE = 200
"""Characters of the note of one watcher."""

_ENVELOPE = 100
"""Characters of a value without its rows, at most."""

_FILL = 0.95
"""Part of a value that new rows may fill; notes of known rows may still grow."""

_SPARE = 0.7
"""Part of the remaining values that rows may fill when the last value is dissolved."""

_NO_CONNECTION = ("AirflowNotFoundException", "AirflowConnectionNotFoundException")


@dataclass(frozen=True, slots=True)
class WatcherStatus:
    """
    The status of the watcher of one asset.

    :param polled_at: end of the last poll, in seconds since 1970; None before the first
    :param error_kind: kind of the last poll's error, None if the poll succeeded
    :param failing_since: time of the first failure in a row, in seconds since 1970
    :param failures: number of failed polls in a row
    :param took_ms: milliseconds of the last poll
    :param next_in_s: seconds from the last poll to the next; the poll interval after a success
    :param tags: tags in the stored watermark, None before it was read
    :param requests: requests of the last poll, shared by the assets of a repository
    :param quota_left: requests that the registry still accepts, None if it does not report them
    :param note: at most 200 characters: the redacted error, held pushes, or a remark of the last poll
    """

    polled_at: float | None = None
    error_kind: str | None = None
    failing_since: float | None = None
    failures: int = 0
    took_ms: int = 0
    next_in_s: float = 0.0
    tags: int | None = None
    requests: int = 0
    quota_left: int | None = None
    note: str = ""

    def to_list(self) -> list[Any]:
        """Return the stored form: the fields in their order, times in whole seconds."""
        # A triggerer may have a thousand rows every five seconds: astuple() would take 50 ms for them.
        return [
            None if self.polled_at is None else round(self.polled_at),
            self.error_kind,
            None if self.failing_since is None else round(self.failing_since),
            self.failures,
            self.took_ms,
            round(self.next_in_s),
            self.tags,
            self.requests,
            self.quota_left,
            self.note,
        ]

    @classmethod
    def from_list(cls, row: Any) -> WatcherStatus:
        """
        Return the status of a stored form.

        :raises ValueError: the form is another one
        """
        if not isinstance(row, list) or len(row) < len(_FIELDS):
            raise ValueError("a watcher's status has ten fields")
        return cls(*map(_checked, _FIELDS, row))


_FIELDS = tuple(field.name for field in fields(WatcherStatus))


def _checked(name: str, value: Any) -> Any:
    if name in ("error_kind", "note"):
        if value is None and name == "error_kind":
            return None
        if isinstance(value, str):
            return value[:MAX_NOTE]
    elif value is None and name in ("polled_at", "failing_since", "tags", "quota_left"):
        return None
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53:
        return value
    raise ValueError(f"{name} of a watcher's status is {type(value).__name__}")


def kind_of(error: Exception) -> str:
    """
    Return the kind of a poll's error: that of a :class:`RegistryError`, or a word for the others.

    :param error: reason of the failed poll
    """
    if isinstance(error, RegistryError):
        return error.kind
    if type(error).__name__ in _NO_CONNECTION:
        return "no_such_connection"
    return "configuration" if isinstance(error, ValueError) else type(error).__name__[:50]


def note_of(error: Exception) -> str:
    """
    Return the note of a failed poll: the HTTP status, if there is one, and the redacted error.

    Of an error of another package only the type is shown, because its text may contain a secret.

    :param error: reason of the failed poll
    """
    if isinstance(error, StormHeld):
        return f"{error.count} pushes are held, more than storm_limit {error.limit}."
    if isinstance(error, RegistryError | ValueError) or type(error).__name__ in _NO_CONNECTION:
        status = getattr(error, "status", None)
        text = _redacted(str(error))
        text = f"{status}: {text}" if status else text
    else:
        text = type(error).__name__
    return text if len(text) <= MAX_NOTE else f"{text[: MAX_NOTE - 1]}…"


def _redacted(text: str) -> str:
    """Return the text with the secrets masked that Airflow knows in this process."""
    try:
        # The masker is not a public name of Airflow 3.3.
        from airflow.sdk._shared.secrets_masker import redact

        return str(redact(text))
    except ImportError:
        return "see the triggerer's log"


class Layout:
    """
    Distribute rows over values. A row keeps its value, so that a write of one value loses no other row.

    After :meth:`arrange`, write the values that gained rows first. Until the others are written, a moved row
    is in two values; the newer one counts.
    """

    def __init__(self) -> None:
        self.count = 0
        """Number of values."""
        self._value_of: dict[str, int] = {}

    def arrange(self, rows: Mapping[str, list[Any]]) -> set[int]:
        """
        Give each row a value; return the values that gained rows.

        :param rows: stored form of each asset's status
        """
        sizes = {asset: _size(asset, row) for asset, row in rows.items()}
        self._value_of = {asset: number for asset, number in self._value_of.items() if asset in sizes}
        used = [0] * self.count
        for asset, number in self._value_of.items():
            used[number] += sizes[asset]
        homeless = [asset for asset in sizes if asset not in self._value_of]
        homeless += self._overflow(sizes, used)
        homeless += self._dissolved(sizes, used, sum(sizes[asset] for asset in homeless))
        gained = {self._place(asset, sizes[asset], used) for asset in homeless}
        if not rows:
            self.count = 0
        return gained

    def rows_of(self, number: int, rows: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """
        Return the rows of one value.

        :param number: number of the value
        :param rows: stored form of each asset's status
        """
        return {asset: row for asset, row in rows.items() if self._value_of.get(asset) == number}

    def value_of(self, asset: str) -> int:
        """Return the number of an asset's value."""
        return self._value_of[asset]

    def _overflow(self, sizes: Mapping[str, int], used: list[int]) -> list[str]:
        """Take the last rows out of values that are too large."""
        taken = []
        for asset, number in reversed(list(self._value_of.items())):
            if used[number] > MAX_VALUE - _ENVELOPE:
                used[number] -= sizes[asset]
                del self._value_of[asset]
                taken.append(asset)
        return taken

    def _dissolved(self, sizes: Mapping[str, int], used: list[int], homeless: int) -> list[str]:
        """Take all rows out of the last values while the others have much room."""
        taken: list[str] = []
        while len(used) > 1 and homeless + sum(used) <= (len(used) - 1) * MAX_VALUE * _SPARE:
            last = len(used) - 1
            of_last = [asset for asset, number in self._value_of.items() if number == last]
            for asset in of_last:
                del self._value_of[asset]
            taken += of_last
            homeless += used.pop()
        self.count = len(used)
        return taken

    def _place(self, asset: str, size: int, used: list[int]) -> int:
        room = (MAX_VALUE - _ENVELOPE) * _FILL
        number = next((at for at, filled in enumerate(used) if filled + size <= room), len(used))
        if number == len(used):
            used.append(0)
            self.count = len(used)
        used[number] += size
        self._value_of[asset] = number
        return number


def _size(asset: str, row: list[Any]) -> int:
    # repr() is as long as JSON for numbers and None, and several times as fast.
    note = row[-1]
    return len(asset) + 6 + len(repr(row[:-1])) + (len(json.dumps(note)) if note else 2)
