# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The page's script."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

__all__ = ["FILES", "fingerprint", "script"]

FILES = ("text", "server", "parts", "filters", "actions", "entry", "list", "page")
"""Those of the folder ``page``, in their order: a file uses what those before it define."""


@cache
def script() -> bytes:
    """Read the script: the files one after the other, each run as it is."""
    folder = Path(__file__).with_name("ui")
    return b"\n".join((folder / f"{name}.js").read_bytes() for name in FILES)


def fingerprint() -> str:
    """Give what changes when the script does."""
    return hashlib.sha256(script()).hexdigest()[:12]
