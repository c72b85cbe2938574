# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One Dag for each trigger of registry_triggers.yaml."""

from __future__ import annotations

from airflow_registry_triggers import trigger_dags_from

trigger_dags_from("registry_triggers.yaml")
