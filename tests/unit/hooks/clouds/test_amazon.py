# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Amazon ECR: the real Amazon provider against moto, and a registry that accepts its tokens only."""

from __future__ import annotations

import asyncio
import json
import threading
import time

import pytest
from airflow.sdk import Connection
from airflow.sdk._shared.secrets_masker import redact

from airflow_registry_triggers.exceptions import RegistryFault
from airflow_registry_triggers.hooks.clouds import amazon, threads
from airflow_registry_triggers.hooks.clouds.amazon import region_of
from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.hooks.registry_target import target_of
from airflow_registry_triggers.registry import login as login_module
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.watermark import Watermark
from airflow_registry_triggers.tag_rule import TagRule
from tests.harness import images
from tests.harness.docker_registry import DockerRegistry
from tests.harness.moto import EcrGate, EcrShim, Moto, error

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(600)]

SECRET_KEY = "planted-secret-access-key-0123456789"
TAGS = [f"v{number}" for number in range(20)]


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    with Moto(tmp_path_factory.mktemp("moto")) as running:
        yield running


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as running:
        images.put_image(running, images.Image("first"), "team/app", TAGS)
        yield running


@pytest.fixture
def shim(moto):
    with EcrShim(moto) as running:
        yield running


@pytest.fixture
def gate(shim, registry):
    with EcrGate(shim, registry.url) as running:
        yield running


@pytest.fixture
def connections(shim, gate, monkeypatch):
    """The Connections that Airflow knows, by their ids."""
    known = {"aws_default": aws(shim), "registry_default": to(gate)}

    def read(conn_id):
        return known[conn_id]

    async def aread(conn_id):
        return known[conn_id]

    monkeypatch.setattr(RegistryHook, "get_connection", staticmethod(read))
    monkeypatch.setattr(RegistryHook, "aget_connection", staticmethod(aread))
    return known


def aws(shim, **extra):
    once = {"retries": {"total_max_attempts": 1}}
    return Connection(
        conn_id="aws_default", conn_type="aws", login="AKIAPLANTED", password=SECRET_KEY,
        extra=json.dumps({"endpoint_url": shim.url, "region_name": "eu-central-1", "config_kwargs": once, **extra}),
    )  # fmt: skip


def to(gate, **extra):
    return Connection(
        conn_id="registry_default", conn_type="oci_registry", host="127.0.0.1", port=gate.port,
        extra=json.dumps({"scheme": "http", "credentials_conn_id": "aws_default", **extra}),
    )  # fmt: skip


def target(connections):
    return target_of(connections["registry_default"], "team/app", connections["aws_default"])


async def polled(target, watermark=None):
    return await target.poll(watermark or Watermark(), TagRule())


async def test_poll_with_a_cloud_login_sends_the_requests_that_are_necessary(connections, shim, gate):
    first = await polled(target(connections))
    assert (gate.count("GET", 401), shim.calls, gate.count("GET"), gate.count("HEAD")) == (1, 1, 1, 20)
    gate.forget()
    await polled(target(connections), first.watermark_after)
    assert (len(gate.seen), gate.count("GET"), gate.count("HEAD"), shim.calls) == (21, 1, 20, 1)


async def test_poll_after_a_token_was_rejected_early_fetches_one_and_loses_no_tag(
    connections, shim, gate, monkeypatch
):
    monkeypatch.setattr(login_module, "TOO_YOUNG", 0.0)
    first = await polled(target(connections))
    shim.revoke()
    gate.forget()
    second = await polled(target(connections), first.watermark_after)
    assert (gate.count("GET", 401), shim.calls, gate.count("GET"), gate.count("HEAD")) == (1, 2, 1, 20)
    assert second.watermark_after.to_dict() == first.watermark_after.to_dict()
    assert not second.notifications


def aged(held, seconds):
    """Return credentials as they are some seconds later."""
    times = (held.fetched_at, held.renew_at, held.good_until)
    return type(held)(held.credentials, *(at - seconds for at in times))


async def test_poll_at_80_percent_of_the_lifetime_renews_the_token_without_a_401(connections, shim, gate):
    first = await polled(target(connections))
    login = target(connections).login
    lifetime = login._held.good_until - login._held.fetched_at
    gate.forget()
    login._held = aged(login._held, 0.8 * lifetime - 60)
    await polled(target(connections), first.watermark_after)
    assert shim.calls == 1
    login._held = aged(login._held, 61)
    await polled(target(connections), first.watermark_after)
    assert (gate.count("GET", 401) + gate.count("HEAD", 401), shim.calls) == (0, 2)
    assert gate.count("HEAD") == 40


async def test_poll_of_1000_watchers_that_start_at_once_requests_one_token(connections, shim, gate):
    one = target_of(connections["registry_default"], "team/app", connections["aws_default"])
    found = await asyncio.gather(*(one.poll(Watermark(), TagRule(tags=["v1"])) for _ in range(1000)))
    assert shim.calls == 1
    assert gate.count("HEAD") == 1000
    assert gate.count("HEAD", 401) <= 10, "only the requests in flight learn the challenge"
    assert gate.rejected_logins() == 0
    assert {str(poll.watermark_after.to_dict()) for poll in found}
    assert len(found) == 1000


async def test_poll_with_denied_permissions_sends_one_request_and_names_the_connection(connections, shim):
    shim.fault = lambda: error("AccessDeniedException", "User: x is not authorized to perform ecr:GetAuth")
    with pytest.raises(RegistryError) as raised:
        await polled(target(connections))
    assert (raised.value.kind, raised.value.transient, shim.calls) == ("credentials", False, 1)
    assert str(raised.value) == (
        f"127.0.0.1:{connections['registry_default'].port}: Connection 'aws_default' was rejected "
        "(AccessDeniedException: User: x is not authorized to perform ecr:GetAuth). Check its permissions."
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (error("ThrottlingException", "Rate exceeded"), "ThrottlingException: Rate exceeded"),
        (error("ServerException", "try later", 500), "ServerException: try later"),
        (error("ServerException", "try later", 503), "ServerException: try later"),
    ],
)
async def test_poll_with_a_throttled_or_failing_cloud_is_unavailable(connections, shim, answer, words):
    shim.fault = lambda: answer
    with pytest.raises(RegistryError, match=words) as raised:
        await polled(target(connections))
    assert (raised.value.kind, raised.value.transient) == ("unavailable", True)
    assert "no credentials from Connection 'aws_default'" in str(raised.value)
    assert str(raised.value).endswith("The watcher retries.")


async def test_poll_while_the_cloud_fails_keeps_a_valid_token_and_waits_30_s(connections, shim, gate, caplog):
    first = await polled(target(connections))
    login = target(connections).login
    held = login._held
    now = time.monotonic()
    login._held = type(held)(held.credentials, now - 90, now - 10, now + 100)
    shim.fault = lambda: error("ServerException", "try later", 500)
    for _ in range(3):
        await polled(target(connections), first.watermark_after)
    assert shim.calls == 2, "one for the first token, one renewal that failed"
    assert gate.count("GET", 401) == 1
    assert "The earlier credentials are valid for" in caplog.text


async def test_poll_with_a_registry_that_rejects_new_tokens_names_the_connection(connections, shim, gate):
    gate.is_closed = True
    with pytest.raises(RegistryError) as raised:
        await polled(target(connections))
    assert raised.value.kind == "credentials"
    assert str(raised.value).endswith(
        "credentials from Connection 'aws_default' were rejected (401). Check its permissions on the repository."
    )
    assert shim.calls == 1
    assert len(gate.seen) == 2


async def test_poll_with_a_hanging_cloud_ends_at_the_deadline(connections, shim, monkeypatch):
    released = threading.Event()
    await polled(target(connections))
    target(connections).login._held = None
    monkeypatch.setattr(threads, "DEADLINE", 0.3)
    shim.fault = lambda: released.wait(60) and None
    began = time.monotonic()
    try:
        with pytest.raises(
            RegistryError, match="no credentials from Connection 'aws_default' within"
        ) as raised:
            await polled(target(connections))
        assert raised.value.kind == "unavailable"
        assert time.monotonic() - began < 25, "the cloud hangs for a minute"
    finally:
        released.set()


async def test_poll_without_the_amazon_provider_names_the_extra_to_install(connections, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "airflow.providers.amazon.aws.hooks.ecr", None)
    with pytest.raises(RegistryError) as raised:
        await polled(target(connections))
    assert raised.value.kind == "credentials"
    assert str(raised.value) == (
        "Connection 'aws_default': apache-airflow-providers-amazon is missing. Install "
        "'airflow-provider-registry-triggers[amazon]'."
    )


async def test_poll_with_a_host_and_a_connection_without_a_region_names_the_field(
    connections, shim, monkeypatch
):
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    connections["aws_default"] = aws(shim, region_name=None)
    with pytest.raises(RegistryError, match="contains no region.*Set region_name in the Connection's extra"):
        await polled(target(connections))


async def test_poll_with_an_empty_connection_and_no_metadata_server_names_the_ways_out(
    connections, shim, monkeypatch
):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9")
    connections["aws_default"] = Connection(
        conn_id="aws_default",
        conn_type="aws",
        extra=json.dumps({"endpoint_url": shim.url, "region_name": "r-1"}),
    )
    with pytest.raises(
        RegistryError, match="NoCredentialsError.*Set login and password, or give workers"
    ) as raised:
        await polled(target(connections))
    assert raised.value.kind == "credentials"
    assert shim.calls == 0


def test_hook_with_a_cloud_login_reads_tags_and_digests(connections, shim):
    hook = RegistryHook()
    assert sorted(hook.list_tags("team/app")) == sorted(TAGS)
    assert str(hook.get_digest("team/app", "v1")).startswith("sha256:")
    assert shim.calls == 1, "the runs of asyncio share the token"


async def test_hook_in_a_coroutine_with_a_cloud_login_reads_tags(connections):
    assert sorted(await RegistryHook().alist_tags("team/app")) == sorted(TAGS)


def test_hook_with_denied_permissions_names_both_connections_and_no_secret(connections, shim):
    shim.fault = lambda: error("AccessDeniedException", f"the key {SECRET_KEY} is not authorized")
    with pytest.raises(RegistryFault) as raised:
        RegistryHook().list_tags("team/app")
    text = str(raised.value)
    assert "Connection 'registry_default'" in text
    assert "Connection 'aws_default'" in text
    assert SECRET_KEY not in text


def test_test_connection_with_a_cloud_login_uses_the_same_code_and_texts(connections, shim):
    assert RegistryHook().test_connection() == (
        True, f"signed in with Connection 'aws_default': 127.0.0.1:{connections['registry_default'].port} answers as a container registry",
    )  # fmt: skip
    target(connections).login._held = None
    shim.fault = lambda: error("AccessDeniedException", "no")
    is_good, text = RegistryHook().test_connection()
    assert not is_good
    assert text.startswith("credentials: 127.0.0.1:")
    assert "Connection 'aws_default' was rejected (AccessDeniedException: no). Check its permissions." in text


async def test_fetch_registers_both_forms_of_the_token_with_airflows_masker(connections, shim):
    await target(connections).login.current()
    for secret in shim.secrets():
        assert secret not in str(redact(f"a line with {secret} in it"))


async def test_fetch_logs_and_shows_no_token(connections, shim, caplog):
    caplog.set_level("DEBUG")
    await polled(target(connections))
    one = target(connections)
    kept = caplog.text + repr(one) + repr(one.login) + repr(vars(one.login)) + repr(one.client())
    assert [secret for secret in (*shim.secrets(), SECRET_KEY) if secret in kept] == []


async def test_credentials_after_a_changed_cloud_connection_come_from_the_new_one(connections, shim):
    first = target(connections)
    await polled(first)
    connections["aws_default"] = aws(shim, role="other")
    second = target(connections)
    assert (first.login.key == second.login.key, first == second) == (False, False)
    await polled(second)
    assert shim.calls == 2
    assert target(connections) == second


async def test_fetch_reads_no_connection_in_its_thread(connections, monkeypatch):
    from airflow.sdk import BaseHook

    def refused(conn_id):
        raise AssertionError(f"{conn_id} was read in {threading.current_thread().name}")

    monkeypatch.setattr(BaseHook, "get_connection", staticmethod(refused))
    await polled(target(connections))


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", "eu-central-1"),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("123456789012.dkr-ecr.eu-west-1.on.aws", "eu-west-1"),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn:443", "cn-north-1"),
        ("registry.example.com", None),
        ("127.0.0.1:5000", None),
    ],
)
def test_region_of_a_host_is_the_part_after_ecr(host, region):
    assert region_of(host) == region


def test_fetch_without_a_token_in_the_answer_is_unavailable(monkeypatch, connections):
    class Empty:
        def get_temporary_credentials(self):
            return []

    monkeypatch.setattr(amazon, "ecr_hook", lambda request: Empty())
    with pytest.raises(RegistryError, match="returned no token") as raised:
        RegistryHook().list_tags("team/app")
    assert raised.value.kind == "unavailable"
