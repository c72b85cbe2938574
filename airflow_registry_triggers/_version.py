# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The version, read by the build and by the User-Agent header."""

from __future__ import annotations

__version__ = "0.1.0"
