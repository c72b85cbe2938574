# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A push becomes a webhook, through a real registry and a real Airflow: ``make demo``."""

from __future__ import annotations
