# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""One suite for every real registry: what a watcher needs from it, checked from outside."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.poll import Poll, poll
from airflow_registry_triggers.registry.watermark import Watermark
from tests.harness.images import MANIFEST, Image
from tests.harness.processes import find_program

if TYPE_CHECKING:
    from airflow_registry_triggers.registry.client import RegistryClient
    from tests.registries.conftest import Subject

pytestmark = pytest.mark.timeout(900)

INDEX = "application/vnd.oci.image.index.v1+json"


async def polled(subject: Subject, repository: str, watermark: Watermark | None = None) -> Poll:
    async with subject.client() as client:
        return await poll(client, repository, watermark or Watermark())


def pushes(found: Poll) -> list[tuple[str, str, str | None]]:
    return [(push.tag, push.action, push.digest) for push in found.notifications]


def connect(monkeypatch: pytest.MonkeyPatch, subject: Subject, **changes: Any) -> str:
    user, password = subject.server.credentials or (None, None)
    values = {"conn_type": "oci_registry", "host": subject.server.url, "login": user, "password": password}
    values["extra"] = json.dumps({"ca_file": subject.server.ca_file} if subject.server.ca_file else {})
    monkeypatch.setenv("AIRFLOW_CONN_SUBJECT", json.dumps({**values, **changes}))
    return "subject"


def test_connection_with_its_login_succeeds(subject: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    succeeded, text = RegistryHook(connect(monkeypatch, subject)).test_connection()
    assert succeeded, text


@pytest.mark.check("login")
def test_connection_with_a_wrong_password_names_the_credentials(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeeded, text = RegistryHook(connect(monkeypatch, subject, password="wrong")).test_connection()
    assert not succeeded
    assert "password" in text.lower()
    assert "wrong" not in text


@pytest.mark.check("login")
async def test_poll_with_a_wrong_password_raises_credentials(subject: Subject) -> None:
    subject.push("one", "team/private", "v1")
    async with subject.client("wrong-password") as client:
        with pytest.raises(RegistryError) as caught:
            await poll(client, "team/private", Watermark())
    assert caught.value.kind == "credentials"
    assert not caught.value.transient


@pytest.mark.check("login")
async def test_poll_of_a_private_repository_without_login_raises(subject: Subject) -> None:
    subject.push("one", "team/private", "v1")
    subject.make_private("team/private")
    async with subject.client(anonymous=True) as client:
        with pytest.raises(RegistryError) as caught:
            await poll(client, "team/private", Watermark())
    assert caught.value.kind in {"credentials", "no_such_repository"}


async def test_poll_finds_new_updated_moved_back_deleted_and_pushed_again(subject: Subject) -> None:
    repository = "team/life"
    first = subject.push("one", repository, "v1", "stays")
    baseline = await polled(subject, repository)
    assert baseline.notifications == []
    second = subject.push("two", repository, "v2")
    found = await polled(subject, repository, baseline.watermark_after)
    assert pushes(found) == [("v2", "new", second)]
    third = subject.push("three", repository, "v1")
    found = await polled(subject, repository, found.watermark_after)
    assert pushes(found) == [("v1", "updated", third)]
    subject.push("one", repository, "v1")
    back = await polled(subject, repository, found.watermark_after)
    assert pushes(back) == [("v1", "updated", first)]
    ids = {push.id for push in [*found.notifications, *back.notifications]}
    assert len(ids) == 2, "A, B, A are two pushes with two ids"
    subject.source.remove_tag(repository, "v1")
    gone = await polled(subject, repository, back.watermark_after)
    assert gone.notifications == []
    subject.push("one", repository, "v1")
    same = await polled(subject, repository, gone.watermark_after)
    assert same.notifications == [], "the same digest again is not a push"
    subject.push("four", repository, "v1")
    again = await polled(subject, repository, same.watermark_after)
    assert [push[:2] for push in pushes(again)] == [("v1", "updated")]


async def test_poll_of_an_index_and_of_a_signature(subject: Subject) -> None:
    repository = "team/index"
    image = Image("platform")
    subject.push("platform", repository, "v1")
    baseline = await polled(subject, repository)
    manifest = {"mediaType": MANIFEST, "digest": image.digest, "size": len(image.manifest)}
    platform = {"architecture": "amd64", "os": "linux"}
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**manifest, "platform": platform}]}
    body = json.dumps(index).encode()
    digest = "sha256:" + hashlib.sha256(body).hexdigest()
    put = subject.source.request(
        "PUT", f"/v2/{repository}/manifests/multi", body=body, headers={"Content-Type": INDEX}
    )
    assert put.status == 201, put.body
    subject.push("signature", repository, f"{image.digest.replace(':', '-')}.sig")
    found = await polled(subject, repository, baseline.watermark_after)
    assert pushes(found) == [("multi", "new", digest)]


async def test_digest_equals_the_digest_that_skopeo_reports(subject: Subject) -> None:
    subject.push("inspected", "team/inspected", "v1")
    async with subject.client() as client:
        digest = await client.digest("team/inspected", "v1")
    access = [f"--creds={':'.join(subject.server.credentials)}"] if subject.server.credentials else []
    command = [find_program("skopeo", "SKOPEO"), "inspect", "--tls-verify=false", *access]
    reference = f"docker://{subject.server.host}/team/inspected:v1"
    done = subprocess.run(
        [*command, "--format", "{{.Digest}}", reference],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert digest == done.stdout.strip()


async def test_unchanged_poll_of_1500_tags_sends_one_request_for_each_tag(subject: Subject) -> None:
    repository, tags = "team/many", [f"v{number}" for number in range(1500)]
    fill(subject, repository, tags)
    async with subject.client() as client:
        baseline = await poll(client, repository, Watermark())
        assert baseline.watermark_after.size == 1500
        subject.server.forget_requests()
        found = await poll(client, repository, baseline.watermark_after)
    assert found.notifications == []
    assert found.unknown == {}
    requests = [line for line in subject.server.requests() if "/team/many/" in line.path]
    counts = Counter(line.method for line in requests if "/manifests/" in line.path)
    pages = [line for line in requests if "/tags/list" in line.path and line.status == 200]
    assert counts == {"HEAD": 1500}
    assert 1 <= len(pages) <= 15
    assert len(requests) - 1500 - len(pages) <= 1, "at most one request more: the first without a token"


def fill(subject: Subject, repository: str, tags: list[str]) -> None:
    if subject.name != "pulp":
        subject.push("many", repository, *tags)
        return
    from tests.harness.docker_registry import DockerRegistry
    from tests.harness.images import put_image

    # A push takes Pulp 0.6 s, so it copies the repository from another registry.
    with DockerRegistry(subject.server.folder / "upstream") as upstream:
        put_image(upstream, Image("many"), repository, tags)
        subject.server.sync(repository, upstream.url)


@pytest.mark.check("token")
async def test_poll_that_outlives_its_token_reads_every_tag(subject: Subject) -> None:
    repository, tags = "team/slow", [f"v{number}" for number in range(60)]
    subject.push("slow", repository, *tags)
    async with subject.client() as client:
        baseline = await poll(client, repository, Watermark())
        issued = len(subject.server.tokens.issued)
        watermark, unknown = baseline.watermark_after, []
        subject.server.forget_requests()
        # Twelve seconds a token, renewed ten seconds before its end: every poll after two seconds needs one.
        for _ in range(40):
            found = await poll(client, repository, watermark)
            unknown += list(found.unknown)
            watermark = found.watermark_after
    assert unknown == []
    assert len(subject.server.tokens.issued) >= issued
    assert 401 not in {line.status for line in subject.server.requests()}


@pytest.mark.check("restart")
async def test_registry_that_restarts_within_a_poll_loses_no_push(subject: Subject) -> None:
    repository, tags = "team/restarted", [f"v{number}" for number in range(40)]
    subject.push("one", repository, *tags)
    async with subject.client() as client:
        baseline = await poll(client, repository, Watermark())
        stopped = StopsWithin(client, subject.server)
        cut: Poll | RegistryError
        try:
            cut = await poll(stopped, repository, baseline.watermark_after)
        except RegistryError as error:
            cut = error
        assert stopped.is_stopped
        subject.server.start()
        digest = subject.push("two", repository, "v1")
        found = await poll(client, repository, baseline.watermark_after)
    if isinstance(cut, RegistryError):
        assert cut.transient
    else:
        assert cut.notifications == []
        assert cut.unknown
        assert cut.watermark_after == baseline.watermark_after
    assert pushes(found) == [("v1", "updated", digest)]


class StopsWithin:
    """A client whose registry stops after the tenth digest."""

    def __init__(self, client: RegistryClient, server: Any) -> None:
        self._client, self._server = client, server
        self._digests = 0
        self.is_stopped = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def digest(self, *arguments: Any, **named: Any) -> str | None:
        self._digests += 1
        if self._digests == 10:
            await asyncio.to_thread(self._server.stop)
            self.is_stopped = True
        return await self._client.digest(*arguments, **named)
