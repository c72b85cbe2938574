# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The parts that all tests share: an Airflow home of their own, and the settings of property tests."""

from __future__ import annotations

import hypothesis

from tests.harness.dag_test import airflow_db, isolate_airflow

__all__ = ["airflow_db"]

# A loaded machine is slow, and that is not an error of the tested code.
hypothesis.settings.register_profile(
    "tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tests")

# At import, since airflow reads its settings when it is imported itself, which test modules may do.
isolate_airflow()
