# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Names that the Dags of a trigger file share with the pages and commands that read them."""

from __future__ import annotations

__all__ = ["DISABLED_TAG", "HELD_TAG", "PREFIX", "TAG"]

PREFIX = "trigger."
"""Beginning of the id of each Dag, unless the caller sets another one."""

TAG = "registry-trigger"
"""Dag tag of each trigger of a file."""

HELD_TAG = "held"
"""Dag tag of a trigger with a problem."""

DISABLED_TAG = "disabled"
"""Dag tag of a trigger with ``enabled: false``."""
