# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A real Chromium that reports what it asked for and what went wrong in it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.harness.processes import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import BrowserContext, Page

    from tests.harness.airflow_process import Airflow

_ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

expect.set_options(timeout=60_000)  # a loaded machine needs more than the 5 s of the default


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    with sync_playwright() as running:
        yield running.chromium.launch(
            executable_path=find_program("chromium", "CHROMIUM"),
            headless=True,
            timeout=120_000,
            args=[*_ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])],
        )


class Tab:
    """
    A logged-in tab; ``trouble`` has console errors, failed scripts and requests to anywhere else.

    :param page: of Playwright
    :param url: base URL of Airflow
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.trouble: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        page.on("request", lambda request: self._asked(request.url))

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self.trouble.append(f"console: {message.text} {message.location}")

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme not in {"data", "blob"} and not url.startswith(self.url):
            self.trouble.append(f"asked {url}")

    def open(self, path: str) -> None:
        self.page.goto(f"{self.url}{path}")


class Browser:
    """
    Opens tabs; those of one user, with the same options, share a profile and with it what was loaded.

    :param chromium: of Playwright
    """

    def __init__(self, chromium: Chromium) -> None:
        self._chromium = chromium
        self._contexts: dict[str, BrowserContext] = {}
        self._tabs: list[Tab] = []

    def tab(self, airflow: Airflow, user: str = "admin", **options: Any) -> Tab:
        """Give a tab of a user; options are those of a context, such as ``viewport`` and ``color_scheme``."""
        url = airflow.home.env["AIRFLOW__API__BASE_URL"]
        key = repr((url, user, sorted(options.items())))
        if key not in self._contexts:
            self._contexts[key] = self._context(url, airflow.rest_as(user).token, options)
        tab = Tab(self._contexts[key].new_page(), url)
        self._tabs.append(tab)
        return tab

    def _context(self, url: str, token: str, options: dict[str, Any]) -> BrowserContext:
        options = {"viewport": {"width": 1280, "height": 800}, **options}
        context = self._chromium.new_context(locale="en-GB", timezone_id="UTC", **options)
        context.set_default_timeout(90_000)
        cookie: Any = {"name": "_token", "value": token, "url": url, "sameSite": "Lax"}
        context.add_cookies([cookie])
        return context

    def close_tabs(self) -> None:
        """Close them, and forget what their pages stored."""
        for tab in self._tabs:
            with contextlib.suppress(Exception):
                tab.page.evaluate("localStorage.clear()")
            with contextlib.suppress(Exception):
                tab.page.close()
        self._tabs.clear()


@pytest.fixture(scope="session")
def running_browser(chromium: Chromium) -> Browser:
    return Browser(chromium)


@pytest.fixture
def browser(running_browser: Browser) -> Iterator[Browser]:
    yield running_browser
    running_browser.close_tabs()
