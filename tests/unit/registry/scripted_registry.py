# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A registry on a real socket that behaves, or misbehaves, as a test wants it to."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

Answerer = Callable[[web.Request], Awaitable[web.StreamResponse | None]]


def manifest_of(label: str) -> bytes:
    return json.dumps({"schemaVersion": 2, "annotations": {"label": label}}).encode()


def digest_of(label: str) -> str:
    return "sha256:" + hashlib.sha256(manifest_of(label)).hexdigest()


@dataclass
class Asked:
    """One request as it came in."""

    method: str
    path: str
    headers: CIMultiDict[str]


@dataclass
class Paging:
    """How tags are listed."""

    size: int | None = None
    """Tags of a page whatever n says; None: all on one page."""
    sort: Callable[[list[str]], list[str]] = sorted
    empty_last: bool = False
    """A page that is exactly full links to an empty one (distribution 3)."""
    link: Callable[[str], str] = '<{}>; rel="next"'.format
    """Makes the header's value of the next page's path and query."""
    cursor: Callable[[int, str], str] = "last={1}".format
    nulls: bool = False
    upload_times: dict[str, int] | None = None
    """Milliseconds by tag; where set, the ``manifest`` map of Google's registries is added."""


@dataclass
class SignIn:
    """What is asked for before anything is told."""

    scheme: str = "bearer"
    challenge: str = 'Bearer realm="{realm}",service="scripted",scope="{scope}"'
    username: str | None = None
    password: str | None = None
    life: float | None = 300
    """expires_in of a token; None leaves it out."""
    token_name: str = "token"
    action: Callable[[str], str] = lambda path: "pull"
    """Action that a path needs."""
    realm: str = ""
    granted: dict[str, set[str]] = field(default_factory=dict)
    """Scopes by token."""
    token_status: int = 200
    tokens: int = 0


class ScriptedRegistry:
    """
    Repositories in memory, served over HTTP.

    ``repositories`` maps names to tags to labels; a label makes the manifest. ``faults`` are asked before each
    answer, the last one first; one that gives a response has answered.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.repositories: dict[str, dict[str, str]] = {}
        self.paging = Paging()
        self.sign_in: SignIn | None = None
        self.head_status: int | None = None
        self.tells_digest = True
        self.gzips = False
        self.faults: list[Answerer] = []
        self.asked: list[Asked] = []
        self.listed: list[str] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.delay = 0.0
        self.url = ""

    def count(self, method: str | None = None, path: str = "") -> int:
        """Count requests so far by method and by what their path has in it."""
        return sum(1 for asked in self.asked if method in (None, asked.method) and path in asked.path)

    @property
    def by_kind(self) -> dict[str, int]:
        """Count requests so far by what they ask for."""
        return dict(Counter(_kind(asked) for asked in self.asked))

    def put(self, repository: str, tags: dict[str, str] | Iterable[str], label: str = "first") -> None:
        """Let tags point at labels."""
        given = tags if isinstance(tags, dict) else dict.fromkeys(tags, label)
        self.repositories.setdefault(repository, {}).update(given)

    @asynccontextmanager
    async def served(
        self, host: str = "127.0.0.1", ssl_context: Any = None
    ) -> AsyncIterator[ScriptedRegistry]:
        """Serve on a free port."""
        app = web.Application(client_max_size=1 << 20)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, host, 0, ssl_context=ssl_context)
        await site.start()
        port = runner.addresses[0][1]
        scheme = "https" if ssl_context else "http"
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{scheme}://{shown}:{port}{self.prefix}"
        try:
            yield self
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(Asked(request.method, request.raw_path, CIMultiDict(request.headers)))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            if self.delay:
                await asyncio.sleep(self.delay)
            for fault in reversed(self.faults):
                answer = await fault(request)
                if answer is not None:
                    return answer
            return self._answer(request)
        finally:
            self.in_flight -= 1

    def _answer(self, request: web.Request) -> web.Response:
        path = request.path
        if path == "/token":
            return self._token(request)
        if not path.startswith(f"{self.prefix}/v2/"):
            return web.Response(status=404, text="not here")
        rest = path.removeprefix(f"{self.prefix}/v2/")
        refused = self._refusal(request, rest)
        if refused is not None:
            return refused
        if rest == "":
            return web.json_response({})
        if rest.endswith("/tags/list"):
            return self._list(request, rest.removesuffix("/tags/list"))
        repository, _, tag = rest.partition("/manifests/")
        return self._manifest(request, repository, tag)

    def _list(self, request: web.Request, repository: str) -> web.Response:
        if repository not in self.repositories:
            return web.json_response({"errors": [{"code": "NAME_UNKNOWN"}]}, status=404)
        paging = self.paging
        tags = paging.sort(list(self.repositories[repository]))
        start = int(request.query.get("at", 0)) or _after(tags, request.query.get("last"))
        size = paging.size or len(tags) + 1
        page = tags[start : start + size]
        self.listed += page
        body: dict[str, Any] = {"name": repository, "tags": page or None}
        if paging.nulls:
            body["tags"] = [None, *page, None, "", "not a tag", 7]
        if paging.upload_times is not None:
            body["manifest"] = self._map(repository, page, paging.upload_times)
        response = web.json_response(body)
        full = len(page) == size if paging.empty_last else start + size < len(tags)
        if full and page:
            query = paging.cursor(start + size, page[-1])
            response.headers["Link"] = paging.link(f"{request.path}?{query}&n={size}")
        return self._maybe_gzip(response)

    def _map(self, repository: str, page: list[str], times: dict[str, int]) -> dict[str, Any]:
        entries: dict[str, Any] = {}
        for tag in page:
            label = self.repositories[repository][tag]
            entry = entries.setdefault(digest_of(label), {"imageSizeBytes": "7", "tag": []})
            entry["tag"].append(tag)
            if tag in times:
                entry["timeUploadedMs"] = str(times[tag])
        return entries

    def _manifest(self, request: web.Request, repository: str, tag: str) -> web.Response:
        if request.method == "HEAD" and self.head_status:
            return web.Response(status=self.head_status)
        label = self.repositories.get(repository, {}).get(tag)
        if label is None:
            return web.json_response({"errors": [{"code": "MANIFEST_UNKNOWN"}]}, status=404)
        headers = {"Docker-Content-Digest": digest_of(label)} if self.tells_digest else {}
        return web.Response(
            body=manifest_of(label),
            content_type="application/vnd.oci.image.manifest.v1+json",
            headers=headers,
        )

    def _maybe_gzip(self, response: web.Response) -> web.Response:
        if self.gzips:
            response.body = gzip.compress(bytes(response.body))  # type: ignore[arg-type]
            response.headers["Content-Encoding"] = "gzip"
        return response

    def _refusal(self, request: web.Request, rest: str) -> web.Response | None:
        sign_in = self.sign_in
        if sign_in is None:
            return None
        given = request.headers.get("Authorization", "")
        repository = rest.partition("/manifests/")[0].removesuffix("/tags/list")
        scope = f"repository:{repository}:{sign_in.action(rest)}" if repository else ""
        if sign_in.scheme == "basic":
            good = given == _basic(sign_in.username, sign_in.password)
        else:
            scopes = sign_in.granted.get(given.removeprefix("Bearer "))
            good = scopes is not None and (not scope or _allows(scopes, scope))
        if good:
            return None
        realm = sign_in.realm or f"{self.url.removesuffix(self.prefix)}/token"
        values = sign_in.challenge.format(realm=realm, scope=scope)
        response = web.json_response({"errors": [{"code": "UNAUTHORIZED"}]}, status=401)
        for value in values.split("\n"):
            response.headers.add("WWW-Authenticate", value)
        return response

    def _token(self, request: web.Request) -> web.Response:
        sign_in = self.sign_in
        assert sign_in is not None
        sign_in.tokens += 1
        if sign_in.token_status != 200:
            return web.json_response({}, status=sign_in.token_status)
        if sign_in.username and request.headers.get("Authorization") != _basic(
            sign_in.username, sign_in.password
        ):
            return web.json_response({}, status=401)
        token = f"token-{sign_in.tokens}"
        sign_in.granted[token] = {request.query.get("scope", "")}
        body: dict[str, Any] = {sign_in.token_name: token}
        if sign_in.life is not None:
            body["expires_in"] = sign_in.life
        return web.json_response(body)


def _kind(asked: Asked) -> str:
    if "/tags/list" in asked.path:
        return "list"
    if "/manifests/" in asked.path:
        return asked.method.lower()
    return "token" if asked.path.startswith("/token") else "other"


def _after(tags: list[str], last: str | None) -> int:
    return tags.index(last) + 1 if last in tags else 0


def _basic(username: str | None, password: str | None) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _allows(scopes: set[str], wanted: str) -> bool:
    name, _, action = wanted.rpartition(":")
    return any(
        scope.rpartition(":")[0] == name and action in scope.rpartition(":")[2].split(",") for scope in scopes
    )
