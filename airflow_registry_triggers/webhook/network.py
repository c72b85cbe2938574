# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The rule on the addresses of receivers."""

from __future__ import annotations

from airflow_registry_triggers.addresses.table import Networks, is_allowed, parse_networks

__all__ = ["Networks", "is_allowed", "parse_networks"]
