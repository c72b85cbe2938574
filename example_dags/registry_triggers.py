# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Create one Dag for each trigger of a reviewed YAML file."""

from __future__ import annotations

# [START registry_triggers]
from airflow_registry_triggers import trigger_dags_from

trigger_dags_from("registry_triggers.yaml")
# [END registry_triggers]
