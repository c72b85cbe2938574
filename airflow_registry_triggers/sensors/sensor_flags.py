# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The flags ``soft_fail``, ``silent_fail`` and ``never_fail`` of a sensor that polls before it defers.

The base class applies the last two in its own loop only, and ``soft_fail`` to every error.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn, TypeVar

from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk import BaseSensorOperator

    _Sensor = BaseSensorOperator
else:
    _Sensor = object

__all__ = ["SensorFlagsMixin"]

Found = TypeVar("Found")


class SensorFlagsMixin(_Sensor):
    """Apply the flags of a sensor; comes before ``BaseSensorOperator`` in the bases."""

    @contextmanager
    def soft_fail_on_timeout_only(self) -> Iterator[None]:
        """Raise the error behind a skip, unless it is a timeout (apache/airflow#71255)."""
        try:
            yield
        except AirflowSkipException as skip:
            error = skip.__cause__
            is_timeout = isinstance(error, AirflowSensorTimeout | AirflowTaskTimeout)
            if error is None or is_timeout or self.never_fail:
                raise
            raise error from None

    def with_flags(self, poke: Callable[[], Found]) -> Found | None:
        """
        Poke once, and treat its errors as the flags say.

        :param poke: polls and returns the result
        :return: the result, None after an error that ``silent_fail`` hides
        """
        try:
            return poke()
        except AirflowSkipException:
            raise
        except AirflowTaskTimeout as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipped because of a timeout: {error}") from error
            raise
        except Exception as error:
            if self.never_fail:
                raise AirflowSkipException(f"Skipped because of never_fail: {error}") from error
            if not self.silent_fail or isinstance(error, AirflowFailException):
                raise
            self.log.exception("The poll failed. The sensor continues because of silent_fail")
            return None

    def time_out(self, text: str) -> NoReturn:
        """
        End a wait that took longer than ``timeout``.

        :param text: what did not happen
        :raises AirflowSkipException: with ``soft_fail``
        :raises AirflowSensorTimeout: without it
        """
        raise AirflowSkipException(text) if self.soft_fail else AirflowSensorTimeout(text)
