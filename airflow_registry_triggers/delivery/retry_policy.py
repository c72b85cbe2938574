# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The retry policy of a delivery task."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.retry_policy import RetryDecision, RetryPolicy

from airflow_registry_triggers.exceptions import DeliveryPending

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["WebhookRetryPolicy"]


class WebhookRetryPolicy(RetryPolicy):
    """
    Wait 5 s, 30 s, 2 min, 5 min, 30 min, 2 h, 5 h, 10 h, each ±20 %, and never less than a receiver asks.

    The policy decides on deliveries that can be retried. For other exceptions the task's own settings apply.
    """

    def evaluate(
        self,
        exception: BaseException,
        try_number: int,
        max_tries: int,
        context: Context | None = None,
    ) -> RetryDecision:
        """
        Return the wait that the access record names: it was drawn when the record was written.

        :param try_number: try of the task, from 1
        """
        if not isinstance(exception, DeliveryPending):
            return RetryDecision.default()
        return RetryDecision.retry(timedelta(seconds=exception.wait), reason=str(exception))

    def serialize(self) -> dict[str, Any]:
        """Return the form in the serialized Dag, which is empty."""
        return {}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> WebhookRetryPolicy:
        """Create a policy from its serialized form."""
        return cls()

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)

    def __hash__(self) -> int:
        return hash(type(self))
