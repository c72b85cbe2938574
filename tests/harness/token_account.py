# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A pusher's login where the registry wants bearer tokens; it shares no code with the package."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from tests.harness.plain_http import Response, request

if TYPE_CHECKING:
    import ssl

__all__ = ["TokenAccount"]

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_REPOSITORY = re.compile(r"/v2/(.+?)/(?:manifests|blobs|tags)/")


class TokenAccount:
    """
    Requests to a registry, with a token that allows reading and writing where the registry wants one.

    :param url: base URL of the registry
    :param credentials: user and password
    :param context: certificates to trust
    """

    def __init__(self, url: str, credentials: tuple[str, str], context: ssl.SSLContext | None = None) -> None:
        self._url, self._credentials, self._context = url, credentials, context
        self._tokens: dict[str, str] = {}

    def request(
        self, method: str, path: str, *, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Response:
        """Send one request; after a 401, fetch a token and send it once more."""
        found = _REPOSITORY.match(path)
        repository = found[1] if found else ""
        answer = self._send(method, path, body, headers, self._tokens.get(repository))
        challenge = answer.headers.get("www-authenticate", "")
        if answer.status != 401 or not challenge.startswith("Bearer"):
            return answer
        self._tokens[repository] = self._token(challenge, repository)
        return self._send(method, path, body, headers, self._tokens[repository])

    def _send(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str] | None, token: str | None
    ) -> Response:
        login = {"Authorization": f"Bearer {token}"} if token else {}
        return request(
            method, self._url + path, body=body, headers={**(headers or {}), **login}, context=self._context
        )

    def _token(self, challenge: str, repository: str) -> str:
        parameters = dict(_PARAMETER.findall(challenge))
        query = {"scope": f"repository:{repository}:pull,push"} if repository else {}
        if "service" in parameters:
            query["service"] = parameters["service"]
        url = f"{parameters['realm']}?{urlencode(query)}"
        answer = request("GET", url, credentials=self._credentials, context=self._context)
        if answer.status != 200:
            raise RuntimeError(f"GET {parameters['realm']}: {answer.status} {answer.body[:200]!r}")
        values = answer.json()
        return str(values.get("token") or values["access_token"])
