# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The pages of a list of tags, and where the next one is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from yarl import URL

from airflow_registry_triggers.oci_names import is_digest, is_tag
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.request import shown

if TYPE_CHECKING:
    from airflow_registry_triggers.registry.http.rate_limits import Limits

__all__ = ["KnownDigest", "Listing", "ListingReader", "next_page"]

_SUFFIX = "/tags/list"


@dataclass(frozen=True, slots=True)
class KnownDigest:
    """
    What a listing tells of a tag.

    :param digest: what it points at
    :param pushed_at: when it was pushed, seconds since 1970; None where that is not told
    """

    digest: str
    pushed_at: float | None = None


@dataclass(slots=True)
class Listing:
    """
    The tags of a repository.

    :param tags: each once, in the registry's order
    :param known: what the listing itself tells of a tag's digest; empty for most registries
    """

    tags: list[str] = field(default_factory=list)
    known: dict[str, KnownDigest] = field(default_factory=dict)


class ListingReader:
    """
    Puts the pages of a listing together, within limits.

    :param limits: pages, tags and pages in a row without anything new
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._asked: set[str] = set()
        self._tags: dict[str, None] = {}
        self._known: dict[str, KnownDigest | None] = {}
        self._page = URL()
        self._idle = 0

    @property
    def listing(self) -> Listing:
        """All that was read."""
        known = {tag: known for tag, known in self._known.items() if known is not None and tag in self._tags}
        return Listing(list(self._tags), known)

    def begin(self, page: URL) -> None:
        """
        Note that a page is going to be asked for.

        :param page: its URL
        :raises RegistryError: it was asked for before, or there are too many
        """
        self._page = page
        if str(page) in self._asked:
            raise self._refused("the listing leads back to a page that was there before")
        self._asked.add(str(page))
        if len(self._asked) > self._limits.pages:
            raise self._refused(f"the listing has more than {self._limits.pages:,} pages")

    def take(self, body: bytes) -> bool:
        """
        Take in a page. Nulls and what no tag can be called are left out.

        :param body: what was answered
        :return: False for what is no page of a list of tags
        :raises RegistryError: there are too many tags, or too many pages without a new one
        """
        try:
            page = json.loads(body)
        except (ValueError, RecursionError):
            return False
        if not isinstance(page, dict) or not isinstance(page.get("tags", 0), list | None):
            return False
        before = len(self._tags)
        self._tags.update(dict.fromkeys(tag for tag in page["tags"] or () if is_tag(tag)))
        for tag, known in _manifest_map(page.get("manifest")):
            # A tag on two manifests is in the middle of a move: the registry is asked about it.
            self._known[tag] = None if tag in self._known else known
        self._idle = 0 if len(self._tags) > before else self._idle + 1
        if len(self._tags) > self._limits.tags:
            raise self._refused(f"the listing has more than {self._limits.tags:,} tags")
        if self._idle > self._limits.idle_pages:
            raise self._refused(f"{self._idle} pages in a row bring no new tag")
        return True

    def _refused(self, text: str) -> RegistryError:
        return RegistryError(
            f"{shown(self._page)}: {text}; all of it is thrown away, nothing that is remembered changes",
            kind="refused_answer",
        )


def _manifest_map(value: object) -> Iterator[tuple[str, KnownDigest]]:
    """Read what Google's registries add: digest to tags and upload time in milliseconds, as text."""
    if not isinstance(value, Mapping):
        return
    for digest, told in value.items():
        if not is_digest(digest) or not isinstance(told, Mapping):
            continue
        tags = told.get("tag")
        known = KnownDigest(digest, _seconds(told.get("timeUploadedMs")))
        for tag in tags if isinstance(tags, list) else ():
            if is_tag(tag):
                yield tag, known


def _seconds(milliseconds: Any) -> float | None:
    text = str(milliseconds)
    # Up to the year 2286; more is no time of an upload.
    return int(text) / 1000 if text.isascii() and text.isdigit() and 0 < len(text) <= 13 else None


def next_page(current: URL, link: str) -> URL:
    """
    Find the next page; the link is followed as it stands, on the same scheme, host and port only.

    :param current: the page that had the link
    :param link: relative or absolute
    :raises RegistryError: it leads elsewhere, or is no URL
    """
    problem = "is no URL"
    if 0 < len(link) <= 4096 and link.isascii() and link.isprintable() and " " not in link:
        try:
            page = current.join(URL(link, encoded=True))
            if page.user is None and page.origin() == current.origin():
                return _with_prefix(current, page)
            problem = "leads to another scheme, host or port"
        except ValueError:
            pass
    raise RegistryError(
        f"{shown(current)}: the link to the next page {problem}; the listing is thrown away, nothing that is "
        "remembered changes",
        kind="refused_answer",
    )


def _with_prefix(current: URL, page: URL) -> URL:
    """Artifactory's links leave out a prefix of the path that it wants to be asked with."""
    here, there = current.raw_path, page.raw_path
    shorter = there.removeprefix("/v2")
    if there != here and shorter.endswith(_SUFFIX) and here.endswith(shorter):
        return (
            current.with_query(None)
            .with_path(here, encoded=True)
            .join(URL(f"{here}?{page.raw_query_string}", encoded=True))
        )
    return page
