# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The page's script."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

__all__ = ["fingerprint", "script"]


@cache
def script() -> bytes:
    """Read the script; it is one file, run as it is."""
    return Path(__file__).with_name("access_log.js").read_bytes()


def fingerprint() -> str:
    """Give what changes when the script does."""
    return hashlib.sha256(script()).hexdigest()[:12]
