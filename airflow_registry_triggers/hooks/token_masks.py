# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
Register tokens of registries with Airflow's masker, without a growing cost.

Airflow's masker never forgets a value, and compiles all of them into one pattern with each new value. A
registry chooses the size and the number of its tokens, so only the ends of the latest tokens are registered,
and a thread registers them.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections import OrderedDict, deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.sdk.log import mask_secret

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["KEPT_CHARACTERS", "MAX_TOKENS", "MIN_LENGTH", "TokenMasks", "mask_token"]

_log = logging.getLogger(__name__)

MAX_TOKENS = 250
"""Tokens that Airflow's masker knows. A registration takes 6 ms of CPU; with 1,000 tokens it takes 24 ms."""

KEPT_CHARACTERS = 32
"""Characters at the end of a token that are masked. A token without its last 32 characters is useless."""

MIN_LENGTH = 8
"""Shortest token that is registered. A registry that issues ``https`` as its token would mask each URL."""

_SETTLES_AFTER = 1.0

# re.compile() caches 512 patterns, which would be 40 MB here.
_compile = getattr(getattr(re, "_compiler", None), "compile", re.compile)


class TokenMasks:
    """
    The tokens that Airflow's masker knows in this process.

    The supervisor process masks the logs of tasks and triggers. It cannot forget a value, so it is told only
    the first tokens of a process.

    :param size: number of tokens that the masker knows, and that the supervisor is told
    """

    def __init__(self, size: int = MAX_TOKENS) -> None:
        self._size = size
        self._kept: OrderedDict[str, frozenset[str]] = OrderedDict()
        self._told = 0
        self._pending: deque[str] = deque(maxlen=size)
        self._process = 0
        self._wake = threading.Event()
        self._replacer: object = None

    def add(self, token: str) -> None:
        """Let a thread register a token. The call returns at once."""
        if len(token) < MIN_LENGTH:
            return
        if self._process != os.getpid():  # threads do not survive a fork
            self._process, self._wake = os.getpid(), threading.Event()
            threading.Thread(target=self._work, args=(self._wake,), name="token-masks", daemon=True).start()
        self._pending.append(token[-KEPT_CHARACTERS:])
        self._wake.set()

    def _work(self, wake: threading.Event) -> None:
        is_settled = True
        while self._wake is wake:
            try:
                if wake.wait(None if is_settled else _SETTLES_AFTER):
                    wake.clear()
                    self._register(list(self._drained()))
                    is_settled = False
                else:
                    is_settled = self._is_in_place()
            except Exception as error:
                # Without the error's text, which could contain a token.
                _log.warning("Airflow's masker did not register a token (%s).", type(error).__name__)

    def _drained(self) -> Iterable[str]:
        with suppress(IndexError):
            while True:
                yield self._pending.popleft()

    def _register(self, ends: list[str]) -> None:
        masker = _masker()
        fresh = []
        for end in ends:
            if end in self._kept:
                self._kept.move_to_end(end)
            elif masker is not None or len(self._kept) < self._size:
                self._kept[end] = _patterns(masker, end)
                fresh.append(end)
        if masker is None:
            for end in fresh:
                mask_secret(end)
            return
        for end in fresh:
            masker.patterns.update(self._kept[end])
        while len(self._kept) > self._size:
            masker.patterns.difference_update(self._kept.popitem(last=False)[1])
        if fresh:
            self._renew(masker)
        self._tell_supervisor(fresh)

    def _renew(self, masker: Any) -> None:
        while True:
            patterns = frozenset(masker.patterns)
            masker.replacer = self._replacer = _compile("|".join(patterns)) if patterns else None
            if patterns == masker.patterns:  # else another thread registered a secret meanwhile
                return

    def _is_in_place(self) -> bool:
        """Return True if no other thread has replaced the pattern; one that has may have missed a token."""
        masker = _masker()
        if masker is None or masker.replacer is self._replacer:
            return True
        self._renew(masker)
        return False

    def _tell_supervisor(self, ends: list[str]) -> None:
        runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
        comms = getattr(runner, "SUPERVISOR_COMMS", None)
        if comms is None:
            return
        from airflow.sdk.execution_time.comms import MaskSecret

        for end in ends[: self._size - self._told]:
            self._told += 1
            with suppress(Exception):  # the supervisor closes its socket when the task ends
                comms.send(MaskSecret(value=end))


def _masker() -> Any:
    """Return Airflow's masker, None if it has another form than in Airflow 3.3."""
    try:
        from airflow.sdk._shared.secrets_masker import _secrets_masker
    except ImportError:
        return None
    masker = _secrets_masker()
    return masker if isinstance(getattr(masker, "patterns", None), set) else None


def _patterns(masker: Any, end: str) -> frozenset[str]:
    """Return the patterns to register: those of other secrets, such as a password, must never be removed."""
    if masker is None:
        return frozenset()
    adaptations = getattr(masker, "_adaptations", lambda secret: (secret,))
    return frozenset(re.escape(text) for text in adaptations(end) if text).difference(masker.patterns)


_masks = TokenMasks()


def mask_token(token: str) -> None:
    """
    Let Airflow mask a token in logs, without blocking the event loop.

    :param token: its last 32 characters are masked
    """
    _masks.add(token)
