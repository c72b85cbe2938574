# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The same against the real registry, with tags that move while it is polled."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import threading
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from airflow_registry_triggers.registry.client import RegistryClient
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.poll import poll
from airflow_registry_triggers.registry.watermark import TagState, Watermark
from airflow_registry_triggers.tag_rule import TagRule
from tests.harness.docker_registry import DockerRegistry
from tests.harness.images import Image, put_image, put_tag

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMAGES = [Image(f"image {number}") for number in range(4)]


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


async def test_poll_without_changes_sends_one_listing_and_one_head_per_tag(real: DockerRegistry) -> None:
    tags = [f"v{number}" for number in range(10)]
    put_image(real, IMAGES[0], "team/ten", tags)
    async with RegistryClient(real.url) as client:
        watermark = (await poll(client, "team/ten", Watermark())).watermark_after
        real.forget_requests()
        found = await poll(client, "team/ten", watermark)
    assert not found.notifications
    assert Counter(line.method for line in real.requests()) == {"GET": 1, "HEAD": 10}
    assert {line.status for line in real.requests()} == {200}


async def test_digest_of_pushed_images_returns_their_digests(real: DockerRegistry) -> None:
    for image, tag in zip(IMAGES, "abcd", strict=True):
        put_image(real, image, "team/digests", [tag])
    async with RegistryClient(real.url) as client:
        assert [await client.digest("team/digests", tag) for tag in "abcd"] == [
            image.digest for image in IMAGES
        ]
        assert await client.digest("team/digests", "e") is None
        with pytest.raises(RegistryError) as caught:
            await client.list_tags("team/none")
    assert caught.value.kind == "no_such_repository"


async def test_client_with_a_basic_login_succeeds_with_the_right_password_only(tmp_path: Path) -> None:
    with DockerRegistry(tmp_path / "protected", protected=True) as registry:
        put_image(registry, IMAGES[0], "team/app", ["v1"])
        async with RegistryClient(registry.url, *registry.credentials) as client:
            await client.check()
            assert await client.list_tags("team/app") == ["v1"]
        async with RegistryClient(registry.url, registry.credentials[0], "wrong") as client:
            with pytest.raises(RegistryError) as caught:
                await client.check()
    assert caught.value.kind == "credentials"


class Mover(threading.Thread):
    """Moves tags until it is told to stop; keeps what stood when."""

    def __init__(self, registry: DockerRegistry, repository: str, tags: list[str], seed: int) -> None:
        super().__init__()
        self._registry, self._repository, self._tags = registry, repository, tags
        self._random = random.Random(seed)
        self._over = threading.Event()
        self.stands: dict[str, list[str]] = {}

    def run(self) -> None:
        while not self._over.is_set():
            tag, image = self._random.choice(self._tags), self._random.choice(IMAGES)
            self.put(tag, image)

    def put(self, tag: str, image: Image) -> None:
        self.stands.setdefault(tag, []).append(image.digest)
        put_tag(self._registry, self._repository, tag, image.digest)

    def stop(self) -> None:
        self._over.set()
        self.join()


@pytest.mark.parametrize("seed", [1, 2])
async def test_poll_while_tags_move_misses_and_invents_no_push(real: DockerRegistry, seed: int) -> None:
    repository = f"team/moving{seed}"
    still = [f"still{number}" for number in range(10)]
    for number, image in enumerate(IMAGES):
        put_image(real, image, repository, [f"image{number}"])
    put_image(real, IMAGES[0], repository, still)
    chosen = random.Random(seed)
    moving = Mover(real, repository, [f"moving{number}" for number in range(5)], seed)
    consumer: dict[str, list[str]] = {}
    ids: list[str] = []
    values: dict[str, object] = {}

    async def cycle(client: RegistryClient, *, killed: bool) -> None:
        before = Watermark.from_dict(json.loads(json.dumps(values)))
        found = await poll(client, repository, before)
        values.update(found.watermark_before.changes_since(before))
        if killed:
            return
        for notification in found.notifications:
            ids.append(str(notification.id))
            consumer.setdefault(notification.tag, []).append(str(notification.digest))
        marks = [TagState(n.tag, n.to_dict()["event"]["generation"], n.digest) for n in found.notifications]
        after = found.watermark_before.advanced(marks, found.watermark_before.epoch)
        values.update(after.changes_since(found.watermark_before))

    async with RegistryClient(real.url) as client:
        await cycle(client, killed=False)
        moving.start()
        try:
            for number in itertools.count():
                if number >= 25 and len(ids) > 20:
                    break
                await cycle(client, killed=chosen.random() < 0.3)
                await asyncio.sleep(chosen.random() * 0.05)
        finally:
            await asyncio.to_thread(moving.stop)
        await cycle(client, killed=False)
        await cycle(client, killed=False)
    assert len(ids) == len(set(ids))
    assert set(consumer) <= set(moving.stands), "invented: a tag that never moved"
    for tag, stood in moving.stands.items():
        told = consumer.get(tag, [])
        assert told[-1:] == stood[-1:], "missed: what stands now was never told"
        assert all(one != other for one, other in itertools.pairwise(told)), "told twice"
        rest = iter(stood)
        assert all(digest in rest for digest in told), "invented: what never stood, or not in that order"


async def test_poll_after_a_restart_and_after_an_emptied_registry_keeps_the_state(tmp_path: Path) -> None:
    with DockerRegistry(tmp_path / "restarted") as registry:
        put_image(registry, IMAGES[0], "team/app", ["v1", "v2"])
        async with RegistryClient(registry.url) as client:
            watermark = (await poll(client, "team/app", Watermark())).watermark_after
            registry.stop()
            with pytest.raises(RegistryError) as caught:
                await poll(client, "team/app", watermark)
            assert caught.value.kind == "unavailable"
            registry.start()
            put_image(registry, IMAGES[1], "team/app", ["v2"])
            found = await poll(client, "team/app", watermark)
            assert [(n.tag, n.action) for n in found.notifications] == [("v2", "updated")]
            registry.stop()
            registry.empty()
            registry.start()
            with pytest.raises(RegistryError) as caught:
                await poll(client, "team/app", found.watermark_after)
            assert caught.value.kind == "no_such_repository"
            put_image(registry, IMAGES[1], "team/app", ["v2"])
            assert not (await poll(client, "team/app", found.watermark_after)).notifications


async def test_poll_with_named_tags_sends_heads_for_these_only(real: DockerRegistry) -> None:
    put_image(real, IMAGES[0], "team/named", ["v1", "v2", "v3"])
    rule = TagRule(tags=["v1", "v9"])
    async with RegistryClient(real.url) as client:
        watermark = (await poll(client, "team/named", Watermark(), rule)).watermark_after
        real.forget_requests()
        put_image(real, IMAGES[1], "team/named", ["v2", "v9"])
        real.forget_requests()
        found = await poll(client, "team/named", watermark, rule)
    assert [(n.tag, n.action) for n in found.notifications] == [("v9", "new")]
    assert Counter(line.method for line in real.requests()) == {"HEAD": 2}
