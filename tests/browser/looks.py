# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Looks of a page: sizes and colors, accessibility, and pictures for the documents."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import axe_core_python

if TYPE_CHECKING:
    from playwright.sync_api import Locator

    from tests.browser.conftest import Tab

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "narrow": {"viewport": {"width": 400, "height": 800}},
}


ANIMATIONS_ENDED = """
    () => document.getAnimations().every(
        one => one.playState !== "running" || one.effect?.getComputedTiming().endTime === Infinity
    )
"""


def wait_for_animations(tab: Tab) -> None:
    """Wait until animations end: what fades in has less contrast until then."""
    tab.page.wait_for_function(ANIMATIONS_ENDED)


def violations(tab: Tab, part: str = "[data-testid=access-log]") -> list[str]:
    """Ask axe-core about our part of the page: the serious violations, each with the HTML of its element."""
    wait_for_animations(tab)
    script = Path(axe_core_python.__file__).parent / "axe.min.js"
    tab.page.evaluate(script.read_text())
    found = tab.page.evaluate("part => axe.run(part)", part)["violations"]
    return [
        f"{item['impact']} {item['id']}: {node['html'][:200]}"
        for item in found
        if item["impact"] in {"serious", "critical"}
        for node in item["nodes"]
    ]


def picture(tab: Tab, name: str, height: int = 700) -> None:
    """Take a picture for the documents, where these are asked for."""
    if os.environ.get("DOCS_IMAGES"):
        IMAGES.mkdir(exist_ok=True)
        size = tab.page.viewport_size
        assert size
        tab.page.set_viewport_size({"width": size["width"], "height": height})
        tab.page.mouse.move(0, 0)
        tab.page.wait_for_timeout(400)
        tab.page.screenshot(path=str(IMAGES / f"{name}.png"))
        tab.page.set_viewport_size(size)


def picture_of(part: Locator, name: str, above: Locator | None = None) -> None:
    """Take a picture of a part of the page, whole or as far as another part, where pictures are asked for."""
    if os.environ.get("DOCS_IMAGES"):
        size = part.page.viewport_size
        assert size
        part.page.set_viewport_size({"width": size["width"], "height": 4000})
        part.page.wait_for_timeout(400)
        clip: Any = part.bounding_box()
        end = above.bounding_box() if above else None
        if end:
            clip["height"] = end["y"] - clip["y"]
        part.page.screenshot(path=str(IMAGES / f"{name}.png"), clip=clip)
        part.page.set_viewport_size(size)
