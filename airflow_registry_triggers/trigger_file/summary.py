# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One line about a trigger: its Dag's id, state, rule and receiver."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.tag_rule import CONDITIONS, TagRule
from airflow_registry_triggers.trigger_file.names import PREFIX
from airflow_registry_triggers.webhook.redaction.fields import mask_url

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from airflow_registry_triggers.trigger_file.entries import Entry

__all__ = ["dag_id_of", "dag_ids", "receiver_of", "rule_of", "state_of"]

EVERY_PUSH = "every push"
"""The rule of a trigger without conditions."""

MAX_ID = 250
"""Characters of a Dag's id in Airflow."""

_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_.-]")


def dag_ids(entries: Iterable[Entry], prefix: str) -> dict[str, Entry]:
    """
    Return the entries by the id of their Dag.

    :param prefix: beginning of each id
    """
    ids: dict[str, Entry] = {}
    # Valid names first: a held trigger must not take the id of a running one.
    for entry in sorted(entries, key=lambda one: bool(one.problems)):
        dag_id = dag_id_of(entry.name, prefix)
        unique, number = dag_id, 2
        while unique in ids:
            unique, number = f"{dag_id}_{number}", number + 1
        ids[unique] = entry
    return ids


def dag_id_of(name: str, prefix: str = PREFIX) -> str:
    """
    Return the id of the Dag of a trigger; a character that Airflow does not allow becomes ``_``.

    :param name: the name, also an invalid one
    :param prefix: beginning of the id
    """
    return f"{prefix}{_NOT_IN_ID.sub('_', name) or '_'}"[: MAX_ID - 10]


def state_of(entry: Entry) -> str:
    """Return ``held``, ``enabled`` or ``disabled``."""
    if entry.problems:
        return "held"
    return "enabled" if entry.values.get("enabled", True) else "disabled"


def rule_of(values: Mapping[str, Any]) -> str:
    """
    Return the rule in one line; empty if the conditions cannot be combined.

    :param values: the valid fields
    """
    try:
        rule = TagRule(**{name: values[name] for name in CONDITIONS if values.get(name) is not None})
    except ValueError:
        return ""
    text = rule.trigger_tag or EVERY_PUSH
    return f"{text} (newest: {values['newest']})" if values.get("newest") else text


def receiver_of(values: Mapping[str, Any]) -> str:
    """
    Return the receiver: its Connection, its URL, or both.

    :param values: the valid fields
    """
    shown = [str(values[name]) for name in ("webhook",) if values.get(name)]
    if url := values.get("url"):
        shown.append(mask_url(url))
    return ": ".join(shown)
