# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Tests, and the ground they stand on."""

from __future__ import annotations
