# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Real things on 127.0.0.1 for tests, the demo and the benchmarks; each ends what it started."""

from __future__ import annotations
