# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A state store in memory that can be made to fail."""

from __future__ import annotations

import json


class StoreDown(Exception):
    pass


class MemoryStore:
    """Keeps JSON, as Airflow's stores do; while ``is_down``, each write fails."""

    def __init__(self):
        self.values = {}
        self.is_down = False
        self.failed_writes = 0

    def get(self, key, default=None):
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key, value):
        if self.is_down:
            self.failed_writes += 1
            raise StoreDown("the database is locked")
        self.values[key] = json.dumps(value)
