# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
ListImages through the real Amazon provider.

moto proves the call and the shape. It ignores maxResults and invents digests, so a shim answers for pages and digests.
"""

from __future__ import annotations

import json

import pytest
from airflow.sdk import Connection

from airflow_registry_triggers.hooks.clouds import ecr_listing
from airflow_registry_triggers.hooks.registry_target import target_of
from airflow_registry_triggers.registry.bulk.ecr import pages
from airflow_registry_triggers.registry.bulk.reported import ApiRefused
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.poll_memory import PollMemory
from airflow_registry_triggers.registry.watermark import Watermark
from airflow_registry_triggers.tag_rule import TagRule
from tests.harness import images
from tests.harness.docker_registry import DockerRegistry
from tests.harness.moto import EcrGate, EcrShim, Moto, error
from tests.harness.plain_http import Response

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(600)]

LIST_CALL = "AmazonEC2ContainerRegistry_V20150921.ListImages"
SECRET_KEY = "planted-secret-access-key-0123456789"
ACCOUNT = "123456789012"


class ListingShim(EcrShim):
    """The API with a listing of its own: at most ``page_size`` images on a page."""

    def __init__(self, moto: Moto) -> None:
        super().__init__(moto)
        self.images: dict[str, str] = {}
        self.page_size = 1000
        self.listed: list[dict] = []
        self.listing_fault: Response | None = None
        self.uses_moto = False

    def answer(self, method, path, headers, body):
        if headers.get("x-amz-target") != LIST_CALL or self.uses_moto:
            return super().answer(method, path, headers, body)
        arguments = json.loads(body)
        self.listed.append(arguments)
        if self.listing_fault is not None:
            return self.listing_fault
        begin = int(arguments.get("nextToken", 0))
        rows = [{"imageTag": tag, "imageDigest": digest} for tag, digest in self.images.items()]
        document: dict = {"imageIds": rows[begin : begin + self.page_size]}
        if begin + self.page_size < len(rows):
            document["nextToken"] = str(begin + self.page_size)
        return Response(200, {"content-type": "application/x-amz-json-1.1"}, json.dumps(document).encode())


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    with Moto(tmp_path_factory.mktemp("moto")) as running:
        yield running


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def shim(moto):
    ecr_listing._clients.clear()
    with ListingShim(moto) as running:
        yield running


@pytest.fixture
def gate(shim, registry):
    with EcrGate(shim, registry.url) as running:
        yield running


def aws(shim):
    once = {"retries": {"total_max_attempts": 1}}
    return Connection(
        conn_id="aws_default", conn_type="aws", login="AKIAPLANTED", password=SECRET_KEY,
        extra=json.dumps({"endpoint_url": shim.url, "region_name": "eu-central-1", "config_kwargs": once}),
    )  # fmt: skip


def target(shim, host):
    connection = Connection(
        conn_id="registry_default", conn_type="oci_registry", host=host,
        extra=json.dumps({"scheme": "http", "credentials_conn_id": "aws_default", "api": "ecr"}),
    )  # fmt: skip
    return target_of(connection, "team/app", aws(shim))


def call(shim, host=f"{ACCOUNT}.dkr.ecr.eu-central-1.amazonaws.com"):
    found = target(shim, host)
    return found.api.for_client(found.login).list_images


async def tags(list_images):
    return [tag async for page in pages(list_images, "team/app") for tag in page]


async def test_list_images_of_moto_returns_tags_and_digests(shim):
    import boto3

    shim.uses_moto = True
    client = boto3.client(
        "ecr", endpoint_url=shim.url, region_name="eu-central-1",
        aws_access_key_id="a", aws_secret_access_key="b",
    )  # fmt: skip
    client.create_repository(repositoryName="team/app", registryId=ACCOUNT)
    for tag in ("v1", "v2"):
        client.put_image(
            registryId=ACCOUNT, repositoryName="team/app", imageTag=tag,
            imageManifest=images.Image(tag).manifest.decode(), imageManifestMediaType=images.MANIFEST,
        )  # fmt: skip
    found = await tags(call(shim))
    assert {tag.name for tag in found} == {"v1", "v2"}
    assert all(tag.digest and tag.digest.startswith("sha256:") for tag in found)


async def test_list_images_sends_registry_filter_and_pages(shim):
    shim.images = {f"v{number}": f"sha256:{number:064x}" for number in range(25)}
    shim.page_size = 10
    found = await tags(call(shim))
    assert {tag.name: tag.digest for tag in found} == shim.images
    assert [arguments.get("nextToken") for arguments in shim.listed] == [None, "10", "20"]
    assert shim.listed[0] == {
        "registryId": ACCOUNT, "repositoryName": "team/app", "maxResults": 1000,
        "filter": {"tagStatus": "TAGGED"},
    }  # fmt: skip


async def test_poll_of_an_unchanged_repository_sends_one_call_and_a_push_one_head(shim, gate, registry):
    names = [f"v{number}" for number in range(30)]
    first, second = images.Image("first"), images.Image("second")
    images.put_image(registry, first, "team/app", names)
    images.put_image(registry, second, "team/app", ["other"])
    found = target(shim, f"127.0.0.1:{gate.port}")
    memory, rule = PollMemory(), TagRule(tag_regex="v.*")
    watermark = (await found.poll(Watermark(), rule, memory=memory)).watermark_after
    shim.images = {**dict.fromkeys(names, first.digest), "other": second.digest}
    await found.poll(watermark, rule, memory=memory)
    gate.forget()
    shim.listed.clear()
    await found.poll(watermark, rule, memory=memory)
    assert (len(shim.listed), len(gate.seen)) == (1, 0)
    images.put_image(registry, second, "team/app", ["v3"])
    shim.images["v3"] = second.digest
    pushed = await found.poll(watermark, rule, memory=memory)
    assert [(n.tag, n.digest) for n in pushed.notifications] == [("v3", second.digest)]
    assert (len(shim.listed), gate.count("HEAD"), gate.count("GET")) == (2, 1, 0)


@pytest.mark.parametrize("code", ["AccessDeniedException", "RepositoryNotFoundException", "InvalidParameter"])
async def test_list_images_that_is_denied_is_refused_without_secrets(shim, code):
    shim.listing_fault = error(code, "User is not authorized to perform ecr:ListImages")
    with pytest.raises(ApiRefused, match=code) as caught:
        await tags(call(shim))
    assert "aws_default" in str(caught.value)
    assert SECRET_KEY not in str(caught.value)


async def test_list_images_that_is_throttled_raises_a_transient_error(shim):
    shim.listing_fault = error("ThrottlingException", "Rate exceeded", 400)
    with pytest.raises(RegistryError) as caught:
        await tags(call(shim))
    assert caught.value.transient
