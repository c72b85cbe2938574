# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Read a registry in a task."""

from __future__ import annotations

# [START record_release_digests]
from airflow.sdk import DAG, task

from airflow_registry_triggers.hooks.registry import RegistryHook

with DAG("record_release_digests", schedule="@daily", catchup=False) as dag:

    @task
    def record() -> dict[str, str | None]:
        registry = RegistryHook("registry_default")
        tags = [tag for tag in registry.list_tags("team/app") if tag.startswith("release-v")]
        return {tag: registry.get_digest("team/app", tag) for tag in tags}

    record()
# [END record_release_digests]

dag.doc_md = """
**Rule:** once a day, all tags of `team/app` that begin with `release-v`.
**Receiver:** the return value of the task `record`; no webhook is sent.

[Access log of this Dag](plugin/access-log?dag_id=record_release_digests)
"""
