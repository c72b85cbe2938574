# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What all tests share: an Airflow home that is nobody's own."""

from __future__ import annotations

from tests.harness.dag_test import airflow_db, isolate_airflow

__all__ = ["airflow_db"]

# At import, since airflow reads its settings when it is imported itself, which test modules may do.
isolate_airflow()
