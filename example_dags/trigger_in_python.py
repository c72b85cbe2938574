# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Create the Dag of a trigger in Python code, with the fields of a trigger file."""

from __future__ import annotations

# [START trigger_in_python]
from airflow_registry_triggers import RegistryTrigger

RegistryTrigger(
    name="nightly", repository="team/app", tag_regex="nightly-.*", newest="text", webhook="webhook_default"
).dag()
# [END trigger_in_python]
