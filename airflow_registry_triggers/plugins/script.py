# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The script of the pages."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

__all__ = ["FILES", "fingerprint", "script"]

FILES = (
    # shared
    "text",
    "time",
    "request",
    "parts",
    "dialogs",
    "fields",
    "views",
    "test_dialog",
    # the view "Triggers"
    "triggers_text",
    "triggers_data",
    "triggers_actions",
    "triggers_list",
    "triggers_view",
    "triggers_tab",
    # the view "Access log"
    "log_data",
    "log_filters",
    "log_actions",
    "log_entry",
    "log_list",
    "log_view",
    # the names by which Airflow finds the pages
    "page",
)
"""Files of the folder ``ui`` in their order: a file uses names that the files before it define."""


@cache
def script() -> bytes:
    """Return the script: the files, joined in their order."""
    folder = Path(__file__).with_name("ui")
    return b"\n".join((folder / f"{name}.js").read_bytes() for name in FILES)


def fingerprint() -> str:
    """Return a text that changes with the script."""
    return hashlib.sha256(script()).hexdigest()[:12]
