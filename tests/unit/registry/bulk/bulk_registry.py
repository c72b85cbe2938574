# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
A registry with an API of its own, in the shapes that the vendors document, retyped.

The API can be stale, wrong, incomplete or broken, while the OCI half of the registry answers the truth.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from tests.unit.registry.scripted_registry import Asked, ScriptedRegistry, digest_of

START = 1_800_000_000.0
REPOSITORY = "team/app"
API_PATHS = {
    "ecr": "/none/",
    "azure": "/acr/v1/",
    "docker_hub": "/v2/namespaces/",
    "quay": "/api/v1/",
    "harbor": "/api/v2.0/",
}


@dataclass
class Row:
    """A tag as the API reports it."""

    name: str
    digest: str | None
    changed_at: float


@dataclass
class View:
    """The API's view of the repository, where it differs from the truth."""

    stale: list[Row] | None = None
    wrong: dict[str, str | None] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    ghosts: dict[str, Row] = field(default_factory=dict)
    skew: float = 0.0
    order: Any = None
    """Sort key of the rows; the newest first by default."""


class BulkRegistry(ScriptedRegistry):
    """
    One repository with times.

    :param api: name of the API
    """

    def __init__(self, api: str) -> None:
        super().__init__()
        self.api = api
        self.clock = START
        self.times: dict[str, float] = {}
        self.view = View()
        self.page_size = 100
        self.api_answers: list[Any] = []
        """Answers in place of the API's, the first one first; None lets the API answer."""
        self.api_fault: Any = None
        """Answers each request to the API, if it is set."""
        self.api_requests: list[Asked] = []
        self.needs: str | None = None
        """The Authorization header that the API needs."""
        self.hub_password: str | None = None
        self.hub_token_filler: list[int] = []
        self.logins: list[dict[str, str]] = []
        self.faults.append(self._read_login)

    def push(self, *tags: str, label: str = "one", seconds: float = 1.0) -> None:
        """Let tags point to a label, each some seconds after the last push."""
        for tag in tags:
            self.clock += seconds
            self.put(REPOSITORY, {tag: label})
            self.times[tag] = self.clock

    def delete(self, tag: str) -> None:
        self.repositories[REPOSITORY].pop(tag, None)
        self.times.pop(tag, None)

    def truth(self) -> list[Row]:
        tags = self.repositories.get(REPOSITORY, {})
        return [Row(tag, digest_of(label), self.times.get(tag, START)) for tag, label in tags.items()]

    def rows(self) -> list[Row]:
        """Return what the API reports, in its order."""
        view = self.view
        rows = [*(self.truth() if view.stale is None else view.stale), *view.ghosts.values()]
        rows = [
            Row(row.name, view.wrong.get(row.name, row.digest), row.changed_at + view.skew)
            for row in rows
            if row.name not in view.hidden
        ]
        return sorted(rows, key=view.order or (lambda row: (-row.changed_at, row.name)))

    def counts(self) -> tuple[int, int, int]:
        """Return and reset the numbers of requests: to the API, listings, HEAD."""
        kinds = self.by_kind
        counts = len(self.api_requests), kinds.get("list", 0), kinds.get("head", 0)
        self.asked.clear()
        self.api_requests.clear()
        return counts

    def _answer(self, request: web.Request) -> web.Response:
        if not request.path.startswith(API_PATHS[self.api]):
            return super()._answer(request)
        self.api_requests.append(self.asked[-1])
        if self.api_fault is not None:
            return self.api_fault()
        if self.api_answers and (answer := self.api_answers.pop(0)) is not None:
            return answer
        if self.needs is not None and request.headers.get("Authorization") != self.needs:
            return web.json_response({"errors": [{"code": "UNAUTHORIZED"}]}, status=401)
        if REPOSITORY not in self.repositories:
            return web.json_response({"errors": [{"code": "NAME_UNKNOWN"}]}, status=404)
        return getattr(self, f"_{self.api}")(request)

    def _azure(self, request: web.Request) -> web.Response:
        assert request.path == f"/acr/v1/{REPOSITORY}/_tags"
        assert (request.query["n"], request.query["orderby"]) == ("100", "timedesc")
        rows, following = self._page(request.query.get("last"))
        body = {
            "registry": "registry.example.com",
            "imageName": REPOSITORY,
            "tags": [
                {
                    "name": row.name,
                    "digest": row.digest,
                    "createdTime": _iso(row.changed_at, 7),
                    "lastUpdateTime": _iso(row.changed_at, 7),
                    "signed": False,
                    "changeableAttributes": {"deleteEnabled": True, "readEnabled": True},
                }
                for row in rows
            ]
            or None,
        }
        query = f"last={following}&n=100&orderby=timedesc"
        headers = {"Link": f'<{request.path}?{query}>; rel="next"'} if following else {}
        return web.json_response(body, headers=headers)

    def _docker_hub(self, request: web.Request) -> web.Response:
        assert request.path == "/v2/namespaces/team/repositories/app/tags"
        assert request.query["page_size"] == "100"
        rows, following = self._page(request.query.get("last"))
        link = f"{self.url}{request.path}?page_size=100&ordering=last_updated&last={following}"
        results = [
            {
                "id": number,
                "name": row.name,
                "digest": row.digest,
                "last_updated": _iso(row.changed_at, 6),
                "tag_last_pushed": _iso(row.changed_at, 6),
                "images": [{"architecture": "amd64", "digest": digest_of(f"platform of {row.name}")}],
            }
            for number, row in enumerate(rows)
        ]
        return web.json_response(
            {
                "count": len(self.rows()),
                "next": link if following else None,
                "previous": None,
                "results": results,
            }
        )

    async def _read_login(self, request: web.Request) -> web.Response | None:
        if request.path != "/v2/auth/token":
            return None
        assert request.method == "POST"
        self.logins.append(await request.json())
        if self.hub_password is not None and self.logins[-1]["secret"] != self.hub_password:
            return web.json_response({"detail": "incorrect"}, status=401)
        self.needs = f"Bearer hub-token-{len(self.logins)}"
        return web.json_response(
            {"access_token": f"hub-token-{len(self.logins)}", "filler": self.hub_token_filler}
        )

    def _quay(self, request: web.Request) -> web.Response:
        assert request.path == f"/api/v1/repository/{REPOSITORY}/tag/"
        assert (request.query["onlyActiveTags"], request.query["limit"]) == ("true", "100")
        number = int(request.query["page"])
        rows = self.rows()[(number - 1) * self.page_size : number * self.page_size]
        tags = [
            {
                "name": row.name,
                "manifest_digest": row.digest,
                "is_manifest_list": False,
                "start_ts": int(row.changed_at),
                "reversion": False,
            }
            for row in rows
        ]
        has_more = number * self.page_size < len(self.rows())
        return web.json_response({"tags": tags, "page": number, "has_additional": has_more})

    def _harbor(self, request: web.Request) -> web.Response:
        assert unquote(unquote(request.raw_path.partition("?")[0])) == (
            "/api/v2.0/projects/team/repositories/app/artifacts"
        )
        assert "q=tags%3D*" in request.raw_path
        assert (request.query["page_size"], request.query["with_tag"]) == ("100", "true")
        number = int(request.query["page"])
        rows = self.rows()[(number - 1) * self.page_size : number * self.page_size]
        # One artifact for each tag here; tests of the parser have artifacts with several.
        artifacts = [
            {
                "digest": row.digest,
                "push_time": _iso(row.changed_at, 3),
                "tags": [{"name": row.name, "push_time": _iso(row.changed_at, 3), "immutable": False}],
            }
            for row in rows
        ]
        headers = {"X-Total-Count": str(len(self.rows()))}
        if number * self.page_size < len(self.rows()):
            headers["Link"] = f'<{request.path}?page={number + 1}&page_size=100>; rel="next"'
        return web.json_response(artifacts, headers=headers)

    def _page(self, last: str | None) -> tuple[list[Row], str | None]:
        """Return a page, and the name of its last tag if there are more."""
        rows = self.rows()
        names = [row.name for row in rows]
        begin = names.index(last) + 1 if last in names else 0
        page = rows[begin : begin + self.page_size]
        return page, page[-1].name if page and begin + self.page_size < len(rows) else None


def _iso(seconds: float, digits: int) -> str:
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06}0"[: 20 + digits] + "Z"
