# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The pages of a listing: their tags, their limits, and the link to the next page."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from yarl import URL

from airflow_registry_triggers.addresses.table import parse_address
from airflow_registry_triggers.oci_names import is_digest, is_tag
from airflow_registry_triggers.registry.errors import INVALID_URL, RegistryError
from airflow_registry_triggers.registry.http.collection_pause import collection_paused
from airflow_registry_triggers.registry.http.headers import MAX_HEADER
from airflow_registry_triggers.registry.http.json_pages import count_elements, is_small, parse_page

if TYPE_CHECKING:
    from airflow_registry_triggers.registry.http.rate_limits import Limits

__all__ = ["PAGE_SIZES", "KnownDigest", "Listing", "ListingReader", "next_page"]

PAGE_SIZES = (1000, 100, None)
"""Values of ``n``, in the order in which they are tried; None omits it. Amazon rejects more than 1000."""

_SUFFIX = "/tags/list"


KnownDigest = tuple[str, float | None]
"""The digest of a tag as a listing contains it, and seconds since 1970; None if the listing has no time."""


@dataclass(slots=True)
class Listing:
    """
    The tags of a repository.

    Digests and times are two mappings of plain values, because Python's garbage collector does not track
    these. With 200,000 pairs, each full collection stops the event loop for a fifth of a second.

    :param tags: each once, in the registry's order
    :param digests: digests by tag, if the listing contains them; empty for most registries
    :param times: upload times by tag in seconds since 1970, if the listing contains them
    :param reported: digests and times that the registry's own API reports, and that only HEAD can prove
    """

    tags: list[str] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)
    reported: dict[str, KnownDigest] = field(default_factory=dict)

    @property
    def known(self) -> dict[str, KnownDigest]:
        """Digest and time of each tag whose digest the listing contains."""
        return {tag: (digest, self.times.get(tag)) for tag, digest in self.digests.items()}


class ListingReader:
    """
    Collect the pages of a listing within limits.

    :param limits: pages, tags, elements, and pages in a row without a new tag
    :param where: the listing's URL as errors show it
    """

    def __init__(self, limits: Limits, where: str) -> None:
        self.where = where
        self._limits = limits
        self._requested: set[bytes] = set()
        self._tags: dict[str, None] = {}
        self._digests: dict[str, str | None] = {}
        self._times: dict[str, float] = {}
        self._idle = 0

    async def listing(self) -> Listing:
        """Return all tags that were read."""
        return await asyncio.to_thread(self._collected) if len(self._tags) > 10_000 else self._collected()

    def begin(self, page: URL) -> None:
        """
        Record that a page is requested.

        :raises RegistryError: the page was requested before, or there are too many pages
        """
        # A hash, because the registry chooses the length of its cursors: 5,000 times 64 KiB are 320 MiB.
        known = hashlib.sha256(str(page).encode()).digest()
        if known in self._requested:
            raise self._refused("the listing links to a page that was read before")
        self._requested.add(known)
        if len(self._requested) > self._limits.pages:
            raise self._refused(f"the listing has more than {self._limits.pages:,} pages")

    async def read(self, body: bytes) -> bool:
        """
        Read the tags of a page, without nulls and invalid tags.

        :return: False if the body is not a page of a listing
        :raises RegistryError: there are too many tags, or too many pages without a new tag
        """
        if is_small(body):
            with collection_paused():
                is_page = self._read(body)
        elif count_elements(body) > self._limits.page_elements:
            raise self._refused(f"a page has more than {self._limits.page_elements:,} elements")
        else:
            # A page of 16 MiB takes up to a second; in a thread the event loop continues.
            with collection_paused():
                is_page = await asyncio.to_thread(self._read, body)
        if len(self._tags) > self._limits.tags:
            raise self._refused(f"the listing has more than {self._limits.tags:,} tags")
        if self._idle > self._limits.idle_pages:
            raise self._refused(f"{self._idle} pages in a row contain no new tag")
        return is_page

    def _read(self, body: bytes) -> bool:
        page = parse_page(body)
        if not _is_page(page):
            return False
        before = len(self._tags)
        self._tags.update((tag, None) for tag in page.get("tags") or () if is_tag(tag))
        self._read_digests(page.get("manifest"))
        self._idle = 0 if len(self._tags) > before else self._idle + 1
        return True

    def _read_digests(self, value: object) -> None:
        """Read the map of Google's registries: digest to tags and upload time, milliseconds as text."""
        digests, times = self._digests, self._times
        for digest, entry in value.items() if isinstance(value, Mapping) else ():
            if not is_digest(digest) or not isinstance(entry, Mapping):
                continue
            tags = entry.get("tag")
            uploaded = _seconds(entry.get("timeUploadedMs"))
            for tag in tags if isinstance(tags, list) else ():
                if not is_tag(tag):
                    continue
                if tag in digests:
                    # A tag on two manifests is being moved: the registry is asked for its digest.
                    digests[tag] = None
                    times.pop(tag, None)
                else:
                    digests[tag] = digest
                    if uploaded is not None:
                        times[tag] = uploaded

    def _collected(self) -> Listing:
        tags = self._tags
        digests = {tag: digest for tag, digest in self._digests.items() if digest is not None and tag in tags}
        return Listing(list(tags), digests, self._times)

    def _refused(self, text: str) -> RegistryError:
        return RegistryError(
            f"{self.where}: {text}. The whole listing is discarded; the stored state does not change.",
            kind="refused_answer",
        )


def _is_page(page: Any) -> bool:
    if not isinstance(page, Mapping):
        return False
    # {"name": ...} without tags is an empty repository; {} or {"errors": [...]} is not a listing.
    tags = page.get("tags") if isinstance(page.get("name"), str) else page.get("tags", 0)
    return isinstance(tags, list | None)


def _seconds(milliseconds: Any) -> float | None:
    text = str(milliseconds)
    # Up to the year 2286; a larger number is not a time.
    return int(text) / 1000 if text.isascii() and text.isdigit() and 0 < len(text) <= 13 else None


def next_page(current: URL, link: str, where: str, requested_host: str | None = None) -> URL:
    """
    Return the next page: path and query of the link on the origin that answered.

    A link can differ in scheme or port, because a proxy in front of the registry hides them. A link to
    another host is an error.

    :param current: the URL that answered with the link
    :param link: relative or absolute
    :param where: the listing's URL as errors show it
    :param requested_host: host of the request before a redirect; a link can name it too
    :raises RegistryError: the link names another host, or is not a URL
    """
    problem = "is not a URL, or is too long"
    if 0 < len(link) <= MAX_HEADER and link.isascii() and link.isprintable() and " " not in link:
        try:
            page = current.join(URL(link, encoded=True))
            if _is_own(page, {current.raw_host, requested_host}):
                return _with_prefix(current, _at_origin(current, page.raw_path_qs))
            problem = "names another host"
        except INVALID_URL:
            pass
    raise RegistryError(
        f"{where}: the link to the next page {problem}. The whole listing is discarded; the stored state "
        "does not change.",
        kind="refused_answer",
    )


def _is_own(page: URL, hosts: set[str | None]) -> bool:
    if page.scheme not in ("http", "https") or page.user is not None or not page.raw_host:
        return False
    return _normalized(page.raw_host) in {_normalized(host) for host in hosts if host}


def _normalized(host: str) -> str:
    """Return a host in a form that can be compared: an IPv6 address can be written in many ways."""
    name = host.lower().rstrip(".")
    return str(parse_address(name) or name)


def _with_prefix(current: URL, page: URL) -> URL:
    """Add the prefix of the path that Artifactory's links omit."""
    here, there = current.raw_path, page.raw_path
    shorter = there.removeprefix("/v2")
    if there != here and shorter.endswith(_SUFFIX) and here.endswith(shorter):
        return _at_origin(current, f"{here}?{page.raw_query_string}")
    return page


def _at_origin(current: URL, path: str) -> URL:
    """Return the URL of a path; ``join`` would take the beginning of ``//name/x`` for a host."""
    return URL(f"{current.origin()}{path}", encoded=True)
