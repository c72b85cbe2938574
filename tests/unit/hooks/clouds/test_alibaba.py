# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Alibaba: the real SDK against a scripted API endpoint."""

from __future__ import annotations

import sys
import time

import pytest
from airflow.sdk._shared.secrets_masker import redact
from alibabacloud_credentials.utils import auth_util

from airflow_registry_triggers.hooks.clouds import alibaba
from airflow_registry_triggers.registry.errors import RegistryError
from tests.harness.plain_http import Response
from tests.harness.thread_server import ScriptedServer, json_answer
from tests.unit.hooks.clouds.targets import cloud, polled, target
from tests.unit.registry.scripted_registry import ScriptedRegistry, SignIn

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(600)]

SECRET = "planted-access-key-secret-0123456789"
TOKEN = "planted-alibaba-token-0123456789"
INSTANCE = {"alibaba_instance_id": "cri-planted"}


@pytest.fixture(autouse=True)
def no_identity(monkeypatch):
    """No identity of the machine; the SDK reads the environment when it is imported."""
    monkeypatch.setattr(auth_util, "environment_access_key_id", None)
    monkeypatch.setattr(auth_util, "environment_ecs_metadata_disabled", "true")


def enterprise(seen):
    return json_answer(
        {
            "Code": "success", "IsSuccess": True, "RequestId": "1", "TempUsername": "cr_temp_user",
            "AuthorizationToken": TOKEN, "ExpireTime": int((time.time() + 3600) * 1000),
        }
    )  # fmt: skip


def personal(seen):
    expires = int((time.time() + 3600) * 1000)
    data = {"tempUserName": "cr_temp_user", "authorizationToken": TOKEN, "expireDate": expires}
    return json_answer({"data": data, "requestId": "1"})


def failing(code, status, message="the message"):
    return lambda seen: json_answer({"Code": code, "Message": message, "RequestId": "1"}, status)


@pytest.fixture
def api():
    with ScriptedServer(enterprise) as running:
        yield running


@pytest.fixture
async def registry():
    scripted = ScriptedRegistry()
    scripted.put("team/app", ["a", "b"])
    scripted.sign_in = SignIn(username="cr_temp_user", password=TOKEN)
    async with scripted.served():
        yield scripted


def key(api, **extra):
    given = {"access_key_id": "LTAIplanted", "access_key_secret": SECRET, "region": "cn-hangzhou", **extra}
    return cloud("alibaba_cloud", host=api.url, extra=given)


async def test_poll_of_an_enterprise_instance_requests_a_login_for_it(registry, api):
    assert await polled(registry, key(api), **INSTANCE) == {"a", "b"}
    seen = api.seen[0]
    action = seen.headers.get("x-acs-action") or seen.query.get("Action")
    version = seen.headers.get("x-acs-version") or seen.query.get("Version")
    assert (action, version) == ("GetAuthorizationToken", "2018-12-01")
    assert {**seen.query, **seen.form}["InstanceId"] == "cri-planted"
    assert "LTAIplanted" in seen.headers.get("authorization", "") + seen.path
    assert len(api.seen) == 1


async def test_poll_of_the_personal_edition_requests_a_login_without_an_instance(registry, api):
    api.script = personal
    assert await polled(registry, key(api)) == {"a", "b"}
    seen = api.seen[0]
    assert seen.headers.get("x-acs-version") == "2016-06-07"
    assert (seen.method, seen.path.partition("?")[0]) == ("GET", "/tokens")


async def test_poll_with_a_key_in_login_and_password_uses_it(registry, api):
    given = cloud("alibaba_cloud", host=api.url, login="LTAIlogin", password=SECRET)
    assert await polled(registry, given, **INSTANCE) == {"a", "b"}
    assert "LTAIlogin" in api.seen[0].headers["authorization"]


async def test_poll_with_a_temporary_key_sends_its_token(registry, api):
    assert await polled(registry, key(api, security_token="planted-sts"), **INSTANCE) == {"a", "b"}
    assert api.seen[0].headers.get("x-acs-security-token") == "planted-sts"


async def test_lifetime_of_a_login_is_that_of_the_answer(registry, api):
    one = target(registry, key(api), **INSTANCE)
    await one.login.current()
    assert one.login._held.good_until - one.login._held.fetched_at == pytest.approx(3600, abs=30)


@pytest.mark.parametrize("expires", [None, "soon", True])
async def test_lifetime_of_a_login_without_a_usable_time_is_60_s(registry, api, expires):
    given = {"TempUsername": "cr_temp_user", "AuthorizationToken": TOKEN, "ExpireTime": expires}
    api.script = lambda seen: json_answer(given)
    one = target(registry, key(api), **INSTANCE)
    await one.login.current()
    assert one.login._held.good_until - one.login._held.fetched_at == pytest.approx(60)


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        (
            failing("InvalidAccessKeyId.NotFound", 404),
            "credentials",
            "was rejected (InvalidAccessKeyId.NotFound: ",
        ),
        (failing("SignatureDoesNotMatch", 400), "credentials", "was rejected (SignatureDoesNotMatch: "),
        (failing("NoPrivilege", 403), "credentials", "was rejected (NoPrivilege: "),
        (failing("INSTANCE_NOT_EXIST", 400), "credentials", "was rejected (INSTANCE_NOT_EXIST: "),
        (
            failing("Throttling.User", 400),
            "unavailable",
            "no credentials from Connection 'cloud_default' (Throttling",
        ),
        (failing("ServiceUnavailable", 503), "unavailable", "no credentials from Connection 'cloud_default'"),
        (failing("InternalError", 500), "unavailable", "no credentials from Connection 'cloud_default'"),
        (
            lambda seen: Response(502, {}, b"<html>bad gateway"),
            "unavailable",
            "no credentials from Connection",
        ),
        (lambda seen: Response(200, {}, b"<html>hello"), "unavailable", "no credentials from Connection"),
        (lambda seen: json_answer({"Code": "NoPrivilege"}), "credentials", "returned no token: NoPrivilege"),
        (lambda seen: json_answer({"TempUsername": "u", "AuthorizationToken": 7}), "credentials", "no token"),
        (lambda seen: json_answer([]), "credentials", "returned no token"),
    ],
)
async def test_poll_with_a_failing_api_names_the_connection_and_no_secret(registry, api, script, kind, words):
    api.script = script
    with pytest.raises(RegistryError) as raised:
        await polled(registry, key(api), **INSTANCE)
    assert raised.value.kind == kind
    assert words in str(raised.value)
    assert "Connection 'cloud_default'" in str(raised.value)
    assert "planted" not in str(raised.value).replace("cri-planted", "")


async def test_poll_with_an_api_that_is_down_is_unavailable(registry):
    down = cloud("alibaba_cloud", host="http://127.0.0.1:9", login="LTAI", password=SECRET)
    with pytest.raises(RegistryError, match="no credentials from Connection 'cloud_default'") as raised:
        await polled(registry, down, **INSTANCE)
    assert raised.value.kind == "unavailable"


async def test_poll_with_an_empty_connection_and_no_metadata_server_names_the_ways_out(
    registry, api, monkeypatch, tmp_path
):
    monkeypatch.setenv("HOME", str(tmp_path))
    empty = cloud("alibaba_cloud", host=api.url, extra={"region": "cn-hangzhou"})
    with pytest.raises(RegistryError, match="Set access_key_id and access_key_secret, or give") as raised:
        await polled(registry, empty, **INSTANCE)
    assert raised.value.kind == "credentials"
    assert api.seen == []


async def test_poll_with_an_empty_connection_uses_the_identity_of_the_environment(registry, api, monkeypatch):
    monkeypatch.setattr(auth_util, "environment_access_key_id", "LTAIenvironment")
    monkeypatch.setattr(auth_util, "environment_access_key_secret", SECRET)
    assert await polled(registry, cloud("alibaba_cloud", host=api.url), **INSTANCE) == {"a", "b"}
    assert "LTAIenvironment" in api.seen[0].headers["authorization"]


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({}, "contains no region.*Set region in the Connection's extra"),
        (
            {"region": "cn-hangzhou", "access_key_id": "x"},
            "access_key_id and access_key_secret belong together",
        ),
        ({"region": "cn-hangzhou", "access_key_id": 7}, "access_key_id in the extra must be text"),
    ],
)
async def test_poll_with_an_unusable_connection_says_what_to_set(registry, extra, words):
    with pytest.raises(RegistryError, match=words) as raised:
        await polled(registry, cloud("alibaba_cloud", extra=extra), **INSTANCE)
    assert raised.value.kind == "credentials"


async def test_poll_without_the_sdk_names_the_extra_to_install(registry, api, monkeypatch):
    monkeypatch.setitem(sys.modules, "alibabacloud_tea_openapi.client", None)
    with pytest.raises(RegistryError, match=r"alibabacloud-tea-openapi is missing. Install '.*\[alibaba\]'"):
        await polled(registry, key(api), **INSTANCE)


async def test_fetch_masks_both_forms_and_logs_no_secret(registry, api, caplog):
    caplog.set_level("DEBUG")
    one = target(registry, key(api), **INSTANCE)
    await polled(registry, key(api), **INSTANCE)
    current = await one.login.current()
    for secret in (TOKEN, current.basic.removeprefix("Basic ")):
        assert secret not in str(redact(f"a line with {secret} in it"))
    for secret in (TOKEN, current.basic.removeprefix("Basic "), SECRET):
        assert secret not in caplog.text + repr(one) + repr(vars(one.login))


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("registry.cn-hangzhou.aliyuncs.com", "cn-hangzhou"),
        ("registry-vpc.cn-beijing.aliyuncs.com", "cn-beijing"),
        ("registry-internal.cn-beijing.aliyuncs.com", "cn-beijing"),
        ("team-registry.eu-central-1.cr.aliyuncs.com", "eu-central-1"),
        ("team-registry-vpc.eu-central-1.cr.aliyuncs.com:443", "eu-central-1"),
        ("registry.example.com", None),
    ],
)
def test_region_of_a_host_is_the_part_after_registry(host, region):
    assert alibaba.region_of(host) == region
