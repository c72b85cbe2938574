# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The login of a host in a Docker ``config.json``, which is read again after a change."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.oci_names import is_docker_hub
from airflow_registry_triggers.registry.credential_helper import HELPER_NAME, run_helper
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.credentials import Credentials
from airflow_registry_triggers.registry.login import RENEW_AT, FetchedCredentials, RenewableCredentials

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = ["DockerConfigFile", "DockerConfigLogin"]

log = logging.getLogger(__name__)

CHECK_INTERVAL = 5.0
"""Seconds between two looks at the file's modification time and size."""

HELPER_LIFETIME = 300.0
"""Seconds for which the login of a helper counts as valid."""

_REFRESH_USER = "00000000-0000-0000-0000-000000000000"
_HUB_KEY = "https://index.docker.io/v1/"
_MAX_SIZE = 1 << 20


@dataclass(frozen=True, slots=True)
class DockerConfigFile:
    """
    A file, and the use that is allowed of it.

    :param path: path of ``config.json``
    :param conn_id: id of the Connection that names it, for errors
    :param helpers: names of the credential helpers that may be started
    :param takes_identity_tokens: whether the host is Azure's, which takes them as refresh tokens
    """

    path: str
    conn_id: str
    helpers: Collection[str] = ()
    takes_identity_tokens: bool = False

    def credentials(self, document: Mapping[str, Any], host: str) -> tuple[Credentials, float | None]:
        """
        Return the login of a host, and its lifetime if a helper returned it.

        :param document: content of the file
        :param host: ``host[:port]``
        :raises RegistryError: there is no usable login for the host; the text quotes no value
        """
        entry = self._entry(document, host)
        if found := self._of_entry(entry, host):
            return found, None
        name = self._helper(document, host)
        if not name:
            raise self._error(
                f"{host}: {self.source} has no login for this host. Run docker login, or correct the path."
            )
        user, secret = run_helper(name, _HUB_KEY if is_docker_hub(host) else host)
        if user == "<token>":
            return self._refresh_token(
                secret, host, "identity token of the credential helper"
            ), HELPER_LIFETIME
        return Credentials(user, secret, source=self.source), HELPER_LIFETIME

    @property
    def source(self) -> str:
        """The file as errors name it."""
        return f"{self.path!r} (Connection {self.conn_id!r})"

    def _entry(self, document: Mapping[str, Any], host: str) -> Mapping[str, Any]:
        auths = document.get("auths")
        if not isinstance(auths, dict):
            return {}
        keys = [
            host,
            f"https://{host}/v2/",
            f"https://{host}/v1/",
            *([_HUB_KEY] if is_docker_hub(host) else []),
        ]
        return next((auths[key] for key in keys if isinstance(auths.get(key), dict)), {})

    def _of_entry(self, entry: Mapping[str, Any], host: str) -> Credentials | None:
        if token := self._text(entry, "identitytoken", host):
            return self._refresh_token(token, host, "key identitytoken")
        if token := self._text(entry, "registrytoken", host):
            return Credentials(None, token, source=self.source)
        user, password = self._text(entry, "username", host), self._text(entry, "password", host)
        if pair := self._text(entry, "auth", host):
            try:
                user, separator, password = base64.b64decode(pair, validate=True).decode().partition(":")
            except ValueError:
                separator = ""
            if not separator:
                raise self._error(
                    f"{host}: {self.source}: auth is not the base64 of user:password. Correct it."
                )
            password = password.rstrip("\0")
        return Credentials(user, password, source=self.source) if user and password else None

    def _text(self, entry: Mapping[str, Any], name: str, host: str) -> str:
        value = entry.get(name) or ""
        if not isinstance(value, str):
            raise self._error(f"{host}: {self.source}: {name} is not text. Correct it.")
        return value.strip()

    def _refresh_token(self, token: str, host: str, what: str) -> Credentials:
        if not self.takes_identity_tokens:
            raise self._error(
                f"{host}: {self.source}: the {what} is supported for Azure hosts only. Use auth, or username "
                "and password."
            )
        return Credentials(_REFRESH_USER, token, source=self.source)

    def _helper(self, document: Mapping[str, Any], host: str) -> str:
        """Return the name of the helper for a host, empty if there is none."""
        by_host = document.get("credHelpers")
        keys = [host, *([_HUB_KEY] if is_docker_hub(host) else [])]
        names = [by_host.get(key) for key in keys] if isinstance(by_host, dict) else []
        name = next((name for name in (*names, document.get("credsStore")) if name), "")
        if not name:
            return ""
        if not isinstance(name, str) or not HELPER_NAME.fullmatch(name):
            raise self._error(f"{host}: {self.source}: the name of its credential helper is not valid.")
        if name not in self.helpers:
            raise self._error(
                f"{host}: {self.source} uses the credential helper {name!r}, which is not allowed. Add it to "
                "[registry_triggers] credential_helpers in airflow.cfg, or add the login to auths."
            )
        return name

    @staticmethod
    def _error(text: str) -> RegistryError:
        return RegistryError(text, kind="credentials", everywhere=True)


class DockerConfigLogin(RenewableCredentials):
    """
    The login of a host in a Docker configuration.

    :param file: the file
    :param host: ``host[:port]``
    :param on_secret: called with each value that logs must mask
    """

    def __init__(self, file: DockerConfigFile, host: str, on_secret: Callable[[str], None]) -> None:
        identity = repr((file.path, file.conn_id, sorted(file.helpers), file.takes_identity_tokens, host))
        super().__init__(hashlib.sha256(identity.encode()).hexdigest(), self._fetch_in_thread)
        self._reader = _Reader(file, host, on_secret)

    @property
    def source(self) -> str:
        """The file as errors name it."""
        return self._reader.file.source

    async def _fetch_in_thread(self) -> FetchedCredentials:
        return await asyncio.to_thread(self._reader.read)


@dataclass(slots=True)
class _Reader:
    file: DockerConfigFile
    host: str
    on_secret: Callable[[str], None]
    _seen: tuple[int, ...] = ()
    _last: FetchedCredentials | None = field(default=None, repr=False)

    def read(self) -> FetchedCredentials:
        """Return the login; if a changed file is not valid, log a warning once and return the earlier one."""
        last, before = self._last, self._seen
        try:
            self._seen = self._stat()
            if last is None or self._seen != before or last.lifetime == HELPER_LIFETIME:
                self._last = self._fetched(self._document())
        except RegistryError as error:
            if last is None or last.lifetime == HELPER_LIFETIME:
                raise
            if self._seen != before:
                log.warning("%s The login that was read before stays in use.", error)
        return self._last  # type: ignore[return-value]  # set above, or an error was raised

    def _fetched(self, document: Mapping[str, Any]) -> FetchedCredentials:
        found, lifetime = self.file.credentials(document, self.host)
        self.on_secret(found.password or "")
        if found.basic:
            self.on_secret(found.basic.removeprefix("Basic "))
        return FetchedCredentials(found, lifetime or CHECK_INTERVAL / RENEW_AT)

    def _stat(self) -> tuple[int, ...]:
        try:
            status = os.stat(self.file.path)
        except (OSError, ValueError):
            self._seen = (-1,)
            raise self._unusable("cannot be read on this machine") from None
        return (status.st_mtime_ns, status.st_size, status.st_ino)

    def _document(self) -> Mapping[str, Any]:
        try:
            with open(self.file.path, "rb") as file:
                content = file.read(_MAX_SIZE + 1)
            document = json.loads(content) if len(content) <= _MAX_SIZE else None
        except OSError:
            raise self._unusable("cannot be read on this machine") from None
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            raise self._unusable("is not a JSON object")
        return document

    def _unusable(self, why: str) -> RegistryError:
        return RegistryError(
            f"Connection {self.file.conn_id!r}: docker_config={self.file.path!r} {why}. Correct the field or "
            "the file.",
            kind="credentials",
            everywhere=True,
        )
