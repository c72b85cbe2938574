# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Tests against real servers."""

from __future__ import annotations
