# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The only task of a trigger with a problem."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from airflow_registry_triggers.common.state_store import SharedStateMixin
from airflow_registry_triggers.trigger_file.problems import count_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

__all__ = ["HeldTriggerOperator", "held_text"]


class HeldTriggerOperator(SharedStateMixin, BaseOperator):
    """
    Fail with the problems of a held trigger.

    The repositories' assets are its inlets, so that Airflow keeps their state until the file is fixed.

    :param trigger_name: name of the trigger
    :param declared_in: file and line of the trigger
    :param problems: the problems, one line each
    """

    ui_color = "#fce8e6"

    def __init__(
        self, *, trigger_name: str, declared_in: str, problems: Sequence[str], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.trigger_name = trigger_name
        self.declared_in = declared_in
        self.problems = list(problems)

    def execute(self, context: Context) -> None:
        """
        Fail the task.

        :raises AirflowFailException: always; a retry does not help
        """
        fix = "Fix it in the file." if len(self.problems) == 1 else "Fix them in the file."
        text = held_text(self.declared_in, len(self.problems))
        raise AirflowFailException(
            "\n".join([f"Trigger {self.trigger_name!r} is held: {text} {fix}", *self.problems])
        )


def held_text(declared_in: str, number: int) -> str:
    """Return the sentence that counts the problems of a held trigger."""
    return f"{declared_in} has {count_of(number, 'problem')}."
