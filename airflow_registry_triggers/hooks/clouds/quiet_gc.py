# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Keep the garbage collector from stopping a triggerer while the SDK of a cloud is imported.

An SDK adds some hundred thousand objects. They make CPython run full collections, and one of those holds the
interpreter lock for 0.1 to 0.2 s, in which no watcher of the triggerer proceeds.
"""

from __future__ import annotations

import gc
import threading

__all__ = ["QuietGc"]

_lock = threading.Lock()
_active: set[QuietGc] = set()


class QuietGc:
    """Switch automatic collections off, until :meth:`end` is called by the thread or at its deadline."""

    def __init__(self) -> None:
        with _lock:
            self._was_enabled = gc.isenabled() or bool(_active)
            _active.add(self)
            gc.disable()

    def end(self) -> None:
        """
        Switch them on again, if they were on, and exempt the objects that exist from later collections.

        The objects of an imported SDK live as long as the process, so no collection could free them.
        """
        with _lock:
            if self not in _active:
                return
            _active.remove(self)
            if not _active and self._was_enabled:
                gc.freeze()
                gc.enable()
