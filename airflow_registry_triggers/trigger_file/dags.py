# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One Dag for each trigger; Airflow registers them while it parses the calling file."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import DAG
from airflow.sdk.definitions.context import get_parsing_context

from airflow_registry_triggers.hooks.webhook_target import allowed_networks
from airflow_registry_triggers.trigger_file.held import HeldTriggerOperator, held_text
from airflow_registry_triggers.trigger_file.loader import load
from airflow_registry_triggers.trigger_file.names import HELD_TAG, PREFIX, TAG
from airflow_registry_triggers.trigger_file.problems import Problem
from airflow_registry_triggers.trigger_file.summary import dag_ids
from airflow_registry_triggers.trigger_file.trigger_dag import assets_of, trigger_dag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_registry_triggers.trigger_file.entries import Entry, LoadedFile

__all__ = ["entry_dag", "trigger_dags_from"]


log = logging.getLogger(__name__)


def trigger_dags_from(path: str, *, prefix: str = PREFIX) -> dict[str, DAG]:
    """
    Create one Dag for each trigger of a file.

    A trigger with a problem becomes a held Dag: it has no schedule, and its only task fails with the
    problems. The other triggers run. In a worker, only the Dag of its task is created.

    :param path: the trigger file; a relative path starts at the calling file
    :param prefix: beginning of the id of each Dag
    :return: the Dags by id
    :raises ValueError: the file is not YAML, has no mapping ``triggers``, or has another version
    :raises OSError: the file cannot be opened
    """
    caller = sys._getframe(1).f_globals.get("__file__")
    file = Path(path) if caller is None else Path(caller).parent / path
    wanted = get_parsing_context().dag_id
    if wanted and not wanted.startswith(prefix):
        return {}
    loaded = _loaded(path, file, prefix, wanted)
    for line in loaded.lines:
        log.error("%s", line)
    ids = dag_ids(loaded.entries, prefix)
    return {dag_id: entry_dag(entry, dag_id) for dag_id, entry in ids.items() if wanted in (None, dag_id)}


def entry_dag(entry: Entry, dag_id: str) -> DAG:
    """
    Return the Dag of an entry, a held one if it has a problem.

    :param dag_id: id of the Dag
    """
    trigger = entry.trigger
    if trigger is None:
        return _held_dag(entry, dag_id, entry.problems)
    prefix = dag_id.removesuffix(trigger.name)
    try:
        return trigger_dag(trigger, prefix, entry.declared_in)
    except Exception as error:
        # An import error would stop every Dag of the file.
        text = f"the Dag cannot be created: {type(error).__name__}: {error}"
        problem = Problem(entry.line, entry.column, f"triggers.{entry.name}", text)
        log.error("%s", problem.shown(entry.path))
        return _held_dag(entry, dag_id, (problem,))


def _loaded(path: str, file: Path, prefix: str, wanted: str | None) -> LoadedFile:
    networks = allowed_networks()
    if wanted:
        loaded = load(path, file, networks=networks, only=wanted.removeprefix(prefix))
        if wanted in dag_ids(loaded.entries, prefix):
            return loaded
    # The id of a held trigger is not always made of its name.
    return load(path, file, networks=networks)


def _held_dag(entry: Entry, dag_id: str, problems: Iterable[Problem]) -> DAG:
    lines = [problem.shown(entry.path) for problem in problems]
    sentence = f"Held: {held_text(entry.declared_in, len(lines))}"
    with DAG(
        dag_id,
        schedule=None,
        description=sentence,
        default_args={"owner": entry.values.get("owner", "registry-triggers")},
        is_paused_upon_creation=False,
        tags=[TAG, *entry.values.get("labels", []), HELD_TAG],
        doc_md="\n".join([sentence, "", "```text", *lines, "```"]),
    ) as dag:
        HeldTriggerOperator(
            task_id="held",
            trigger_name=entry.name,
            declared_in=entry.declared_in,
            problems=lines,
            retries=0,
            inlets=assets_of(entry.values),
            doc_json=json.dumps({"declared_in": entry.declared_in, "problems": lines}),
        )
    return dag
