# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The exceptions that end a task of this provider.

::

    RegistryTriggersError                 base of all
    ├── InvalidArgument                   an argument was rendered to an invalid value; a ValueError too
    ├── RegistryFault                     the registry's setup is wrong: repository, password, TLS
    ├── MalformedNotifications            the task got values, and no notification among them
    ├── TooManyToMap                      more items than Airflow can map the next task over
    ├── DeliveryFailed                    receivers rejected notifications, and no retry is left to make
    └── DeliveryPending                   some notifications are not delivered yet; Airflow retries the task

A retry can help only with ``DeliveryPending``, so all others are Airflow's ``AirflowFailException`` too.
"""

from __future__ import annotations

from airflow.sdk.exceptions import AirflowFailException

__all__ = [
    "DeliveryFailed",
    "DeliveryPending",
    "InvalidArgument",
    "MalformedNotifications",
    "RegistryFault",
    "RegistryTriggersError",
    "TooManyToMap",
]


class RegistryTriggersError(Exception):
    """Base of the exceptions that end a task of this provider."""


class InvalidArgument(RegistryTriggersError, AirflowFailException, ValueError):
    """An argument of an operator that was rendered to an invalid value."""


class RegistryFault(RegistryTriggersError, AirflowFailException):
    """An unknown repository, a wrong password, a TLS error or a host that is not a registry."""


class MalformedNotifications(RegistryTriggersError, AirflowFailException):
    """The task got values, and none of them is a notification."""


class TooManyToMap(RegistryTriggersError, AirflowFailException):
    """The return value has more items than ``[core] max_map_length``, and a task is mapped over it."""


class DeliveryFailed(RegistryTriggersError, AirflowFailException):
    """Receivers rejected some notifications, and a retry would not change that."""


class DeliveryPending(RegistryTriggersError):
    """
    Some notifications were not delivered, and Airflow retries the task.

    :param text: counts and reasons
    :param wait: seconds before the next try
    """

    def __init__(self, text: str, *, wait: float) -> None:
        super().__init__(text)
        self.wait = wait
