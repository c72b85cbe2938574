# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The errors that end a task.

::

    AirflowFailException (Airflow's: no retry can help)
    ├── InvalidArgument (also a ValueError)   an argument that turned out wrong when it was rendered
    ├── RegistryFault                         a registry that will not answer until someone mends something
    ├── MalformedNotifications                some of what came in is no notification
    └── DeliveryFailed                        none is left to try again, and some were refused for good
    Exception
    └── DeliveryPending                       some notifications can be tried again
"""

from __future__ import annotations

from airflow.sdk.exceptions import AirflowFailException

__all__ = [
    "DeliveryFailed",
    "DeliveryPending",
    "InvalidArgument",
    "MalformedNotifications",
    "RegistryFault",
]


class InvalidArgument(AirflowFailException, ValueError):
    """An argument that cannot work, found out when it was rendered; a try again would not help."""


class RegistryFault(AirflowFailException):
    """No such repository, a wrong password, not a registry, a TLS fault: someone must mend it."""


class MalformedNotifications(AirflowFailException):
    """Some of what came in is no notification; the others went on before this was raised."""


class DeliveryFailed(AirflowFailException):
    """Some notifications were refused for good, and none is left to try again."""


class DeliveryPending(Exception):
    """
    Some notifications were not delivered and can be tried again.

    :param text: counts and reasons
    :param wait: seconds before the next try
    """

    def __init__(self, text: str, *, wait: float) -> None:
        super().__init__(text)
        self.wait = wait
