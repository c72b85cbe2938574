# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A scripted registry with an API of its own, in a process of its own, that counts its requests."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import Counter
from typing import TYPE_CHECKING

from aiohttp import web

from tests.unit.registry.bulk.bulk_registry import API_PATHS, REPOSITORY, BulkRegistry, Row

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["REPOSITORY", "ReportingServer"]


class _Unchanged(BulkRegistry):
    """A registry that sorts its rows once, because they do not change."""

    def __init__(self, api: str, tags: int) -> None:
        super().__init__(api)
        self.push(*(f"v{number}" for number in range(tags)), seconds=60)
        self._sorted = super().rows()
        self._positions = {row.name: number for number, row in enumerate(self._sorted)}

    def rows(self) -> list[Row]:
        return self._sorted

    def _page(self, last: str | None) -> tuple[list[Row], str | None]:
        begin = self._positions[last] + 1 if last else 0
        page = self._sorted[begin : begin + self.page_size]
        return page, page[-1].name if page and begin + self.page_size < len(self._sorted) else None


def _serve(api: str, tags: int, to_parent: Connection) -> None:
    async def serve() -> None:
        registry = _Unchanged(api, tags)

        async def counts(request: web.Request) -> web.Response | None:
            if request.path != "/counts":
                return None
            registry.asked.pop()
            found = Counter(
                "API"
                if asked.path.startswith(API_PATHS[api])
                else asked.method
                if "/manifests/" in asked.path
                else "list"
                for asked in registry.asked
            )
            registry.asked.clear()
            return web.json_response(found)

        registry.faults.append(counts)
        async with registry.served():
            to_parent.send((registry.url, registry.clock))
            await asyncio.get_running_loop().run_in_executor(None, to_parent.recv)

    asyncio.run(serve())


class ReportingServer:
    """
    The server as a context manager; ``url`` and ``clock``, the time of the last push, are set within it.

    :param api: the API that it has
    :param tags: number of its tags
    """

    def __init__(self, api: str, tags: int) -> None:
        self.url = ""
        self.clock = 0.0
        context = multiprocessing.get_context("spawn")
        self._pipe, child = context.Pipe()
        self._process = context.Process(target=_serve, args=(api, tags, child))

    def __enter__(self) -> ReportingServer:
        self._process.start()
        self.url, self.clock = self._pipe.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.send("end")
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
