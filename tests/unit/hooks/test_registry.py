# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A Connection as the address, the login and the settings of a registry."""

from __future__ import annotations

import asyncio
import json

import pytest
from airflow.sdk import Connection

from airflow_registry_triggers.exceptions import RegistryFault
from airflow_registry_triggers.hooks import registry_target
from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.hooks.registry_target import target_of
from airflow_registry_triggers.hooks.watch_settings import WatchSettings
from airflow_registry_triggers.registry.errors import RegistryError
from tests.harness.tinyproxy import TinyProxy
from tests.unit.registry.scripted_registry import ScriptedRegistry, SignIn, digest_of


def conn(conn_type="oci_registry", extra=None, **values):
    return Connection(conn_id="c", conn_type=conn_type, extra=json.dumps(extra or {}), **values)


HUB = "https://registry-1.docker.io"


@pytest.mark.parametrize(
    ("connection", "repository", "base_url", "name"),
    [
        (conn(host="registry.example.com"), "team/app", "https://registry.example.com", "team/app"),
        (conn(host="registry.example.com", port=5000), "team/app", "https://registry.example.com:5000", "team/app"),
        (conn(host="r.example", extra={"scheme": "http"}), "a/b", "http://r.example", "a/b"),
        (conn(host="http://r.example:5000"), "a/b", "http://r.example:5000", "a/b"),
        (conn(host="HTTP://R.Example.:5000"), "a/b", "http://r.example:5000", "a/b"),
        (conn(host="r.example:5000", port=5000), "a/b", "https://r.example:5000", "a/b"),
        (conn(host="r.example", port=443), "a/b", "https://r.example", "a/b"),
        (conn(host="bücher.example"), "a/b", "https://xn--bcher-kva.example", "a/b"),
        (conn(host="r.example/prefix/"), "a/b", "https://r.example/prefix", "a/b"),
        (conn(host="r.example/v2/"), "a/b", "https://r.example", "a/b"),
        (conn(host="r.example/myv2"), "a/b", "https://r.example/myv2", "a/b"),
        (conn(host="r.example//a//v2//"), "a/b", "https://r.example/a", "a/b"),
        (conn(host="::1", port=5000, extra={"scheme": "http"}), "a/b", "http://[::1]:5000", "a/b"),
        (conn(host="my_registry:5000"), "a/b", "https://my_registry:5000", "a/b"),
        (conn(), "ghcr.io/team/app", "https://ghcr.io", "team/app"),
        (conn(host="ghcr.io"), "oci://ghcr.io/team/app", "https://ghcr.io", "team/app"),
        (conn(host="GHCR.io."), "ghcr.io:443/team/app", "https://ghcr.io", "team/app"),
        (conn(host="https://ghcr.io:443"), "GHCR.IO/team/app", "https://ghcr.io", "team/app"),
        (conn("docker", host="https://index.docker.io/v1/"), "library/nginx", HUB, "library/nginx"),
        (conn("docker", host="https://index.docker.io/v1/"), "nginx", HUB, "library/nginx"),
        (conn("docker", host="Docker.io"), "nginx", HUB, "library/nginx"),
        (conn(host="Registry-1.Docker.IO", port=443), "team/app", HUB, "team/app"),
        (conn(host="hub.docker.com"), "docker.io/nginx", HUB, "library/nginx"),
        (conn("docker"), "docker.io/nginx", HUB, "library/nginx"),
        (conn("docker"), "Docker.IO:443/nginx", HUB, "library/nginx"),
        (conn(host="mirror.example/docker.io"), "nginx", "https://mirror.example/docker.io", "nginx"),
        (conn("http", host="r.example"), "a/b", "http://r.example", "a/b"),
        (conn("http", host="r.example"), "r.example:80/a/b", "http://r.example", "a/b"),
        (conn(host="http://r.example:80"), "R.example.:80/a/b", "http://r.example", "a/b"),
        (conn(host="http://r.example:443"), "r.example:443/a/b", "http://r.example:443", "a/b"),
        (conn(host="[::1]", port=5000), "[0:0:0:0:0:0:0:1]:5000/a/b", "https://[::1]:5000", "a/b"),
        (conn("http", host="r.example", schema="https"), "a/b", "https://r.example", "a/b"),
    ],
)  # fmt: skip
def test_target_of_a_connection_and_a_repository_gives_one_address(connection, repository, base_url, name):
    target = target_of(connection, repository)
    assert (target.base_url, target.repository) == (base_url, name)


@pytest.mark.parametrize(
    ("connection", "repository", "words"),
    [
        (conn(), "team/app", "has no host"),
        (conn(host="registry.example.com", password="pw"), "ghcr.io/team/app", "is for registry.example.com"),
        (conn("docker", host="docker.io"), "ghcr.io/team/app", "is for docker.io"),
        (conn("http", host="r.example"), "r.example:81/team/app", "is for r.example"),
        (conn(host="r.example", port=5000), "r.example/team/app", "is for r.example:5000"),
        (conn(host="u:pw@h"), "team/app", "host must be"),
        (conn(host="h?x=1"), "team/app", "host must be"),
        (conn(host="h\\a"), "team/app", "host must be"),
        (conn(host="h:x"), "team/app", "not a valid host"),
        (conn(host="h:70000"), "team/app", "not a valid host"),
        (conn(host="h:5000", port=5001), "team/app", "the host has the port 5000, the field Port has 5001"),
        (conn(host="ftp://h"), "team/app", "must be https or http"),
        (conn(host="h", extra={"poll_interval": 0}), "team/app", "poll_interval=0 must be a number, at least 1"),
        (conn(host="h", extra={"poll_interval": "soon"}), "team/app", "poll_interval"),
        (conn(host="h", extra={"poll_interval": "nan"}), "team/app", "poll_interval"),
        (conn(host="h", extra={"confirm_polls": 0}), "team/app", "confirm_polls=0 must be a number, at least 1"),
        (conn(host="h", extra={"confirm_polls": 1.5}), "team/app", "whole number"),
        (conn(host="h", extra={"flap_limit": -1}), "team/app", "flap_limit=-1 must be a number, at least 0"),
        (conn(host="h", extra={"recheck_interval": -1}), "team/app", "recheck_interval=-1 must be a number, at least 0"),
        (conn(host="h", extra={"recheck_interval": "daily"}), "team/app", "recheck_interval='daily'"),
        (conn(host="h", extra={"updates": "maybe"}), "team/app", "true or false"),
        (conn(host="h", extra={"first_run": "storm"}), "team/app", "baseline or notify"),
        (conn(host="h", extra={"ca_file": 1}), "team/app", "ca_file=1 must be text"),
        (conn(host="h", extra={"proxy": ["pw"]}), "team/app", "proxy must be text"),
        (conn(host="h"), "Team/App", "not a valid name"),
        (conn("http", host="h", extra={"headers": {"X-Auth": "pw"}}), "team/app", "extra 'headers' must be text"),
        (conn("http", host="h", extra={"X-Count": 7}), "team/app", "extra 'X-Count' must be text"),
    ],
)  # fmt: skip
def test_target_of_an_invalid_connection_raises_an_error_without_secrets(connection, repository, words):
    with pytest.raises(ValueError) as error:
        target_of(connection, repository)
    assert words in str(error.value)
    assert "pw" not in str(error.value)


def test_target_of_a_connection_with_settings_reads_them_from_the_extra():
    extra = {"poll_interval": "5", "first_run": "notify", "updates": "false", "referrers": True, "storm_limit": 9,
             "confirm_polls": "3", "flap_limit": 0, "proxy": "http://proxy:3128", "recheck_interval": "900",
             "timezone": "Asia/Shanghai", "region": "cn-hangzhou", "repo_type": "PUBLIC", "max_in_flight": 3}  # fmt: skip
    target = target_of(conn(host="h", extra=extra), "a/b")
    settings = target.settings
    assert (settings.poll_interval, settings.first_run, settings.updates) == (5.0, "notify", False)
    assert (settings.referrers, settings.storm_limit, settings.timezone) == (True, 9, "Asia/Shanghai")
    assert (settings.confirm_polls, settings.flap_limit, settings.recheck_interval) == (3, 0, 900.0)
    assert settings.facts == {"region": "cn-hangzhou", "repo_type": "PUBLIC"}
    assert (target.max_in_flight, target.proxy) == (3, "http://proxy:3128")


def test_target_of_a_connection_without_settings_has_the_defaults():
    settings = target_of(conn(host="h"), "a/b").settings
    assert settings == WatchSettings()
    assert (settings.confirm_polls, settings.flap_limit) == (1, 10)


def test_target_of_an_http_connection_takes_the_proxy_of_its_scheme():
    extra = {"proxies": {"https": "http://proxy:3128"}, "verify": False, "timeout": 3}
    assert target_of(conn("http", host="h", schema="https", extra=extra)).proxy == "http://proxy:3128"
    assert target_of(conn("http", host="h", extra=extra)).proxy is None


def test_target_repr_shows_no_password_and_no_proxy_login():
    extra = {"proxy": "http://u:planted@proxy:3128"}
    target = target_of(conn(host="h", login="u", password="planted", extra=extra), "a/b")
    assert "planted" not in repr(target)
    assert "planted" not in repr(target.client())


def test_target_of_a_connection_lets_airflow_mask_its_secrets(monkeypatch):
    masked = []
    monkeypatch.setattr(registry_target, "mask_secret", masked.append)
    target_of(conn("http", host="h", login="u", password="p", extra={"X-Auth": "header-value"}))
    assert masked == ["p", "dTpw", "header-value"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"password": "secret\n"}, "password of the Connection contains a line feed"),
        ({"password": "secret\r\n"}, "contains a carriage return"),
        ({"login": "robot\t", "password": "secret"}, "login of the Connection contains a tab"),
        ({"password": "sec\x1bret"}, "U+001B"),
    ],
)
def test_client_of_a_login_with_a_control_character_is_a_credentials_error(values, words):
    with pytest.raises(RegistryError) as error:
        target_of(conn(host="h", **values)).client()
    assert error.value.kind == "credentials"
    assert not error.value.transient
    assert words in str(error.value)
    assert "secret" not in str(error.value)


@pytest.fixture
async def hook(monkeypatch):
    async with ScriptedRegistry().served() as served:
        served.put("team/app", {"v1": "one", "v2": "two"})
        values = {"login": None, "password": None}

        def connection(conn_id):
            return conn(**{"host": served.url, **values})

        async def aconnection(conn_id):
            return connection(conn_id)

        monkeypatch.setattr(RegistryHook, "get_connection", staticmethod(connection))
        monkeypatch.setattr(RegistryHook, "aget_connection", staticmethod(aconnection))
        hook = RegistryHook("c")
        hook.served, hook.values = served, values
        yield hook


def place_of(hook):
    """Return host and port of the served registry."""
    return hook.served.url.partition("://")[2].strip("/")


async def test_list_tags_and_get_digest_in_a_thread_of_a_task_read_the_registry(hook):
    assert await asyncio.to_thread(hook.list_tags, "team/app") == ["v1", "v2"]
    assert await asyncio.to_thread(hook.get_digest, "team/app", "v2") == digest_of("two")
    assert await asyncio.to_thread(hook.get_digest, "team/app", "none") is None


async def test_alist_tags_and_aget_digest_in_a_coroutine_read_the_registry(hook):
    assert await hook.alist_tags("team/app") == ["v1", "v2"]
    assert await hook.aget_digest("team/app", "v1") == digest_of("one")


async def test_list_tags_of_a_missing_repository_ends_the_task_and_names_the_connection(hook):
    with pytest.raises(
        RegistryFault, match=r"^no such repository \(HTTP 404\): Connection 'c', anonymous at 127"
    ):
        await hook.alist_tags("no/such")


async def test_list_tags_of_a_registry_that_is_down_can_be_retried(hook):
    async def down(request):
        from aiohttp import web

        return web.Response(status=500)

    hook.served.faults.append(down)
    with pytest.raises(RegistryError, match="Connection 'c'") as error:
        await hook.alist_tags("team/app")
    assert error.value.transient


async def test_test_connection_of_an_open_registry_succeeds_without_a_login(hook):
    ok, text = await asyncio.to_thread(hook.test_connection)
    assert ok
    assert text == f"anonymous: {place_of(hook)} answers as a container registry"


async def test_test_connection_with_a_right_login_says_who_signed_in(hook):
    hook.served.sign_in = SignIn(username="robot", password="right")
    hook.values |= {"login": "robot", "password": "right"}
    ok, text = await asyncio.to_thread(hook.test_connection)
    assert ok
    assert text.startswith("signed in as robot: 127.0.0.1:")


async def test_test_connection_with_a_login_that_nobody_asked_for_says_that_it_was_not_checked(hook):
    hook.values |= {"login": "robot", "password": "any"}
    ok, text = await asyncio.to_thread(hook.test_connection)
    assert ok
    assert text.startswith("anonymous: ")
    assert "was not checked" in text


async def test_test_connection_of_plain_http_with_https_names_the_field_scheme(hook):
    hook.values |= {"host": place_of(hook), "extra": {"scheme": "https"}}
    ok, text = await asyncio.to_thread(hook.test_connection)
    assert not ok
    assert f"{place_of(hook)} answers plain HTTP, not HTTPS: set Scheme to http" in text


@pytest.mark.parametrize("values", [{"port": 1, "host": "h:2"}, {"host": "ftp://h"}, {"host": None}])
async def test_test_connection_with_an_invalid_field_does_not_name_the_temporary_connection(hook, values):
    hook.values |= values
    ok, text = await asyncio.to_thread(hook.test_connection)
    assert not ok
    assert text
    assert "'c'" not in text


async def test_list_tags_with_a_wrong_password_names_cause_login_registry_and_repository(hook):
    hook.served.sign_in = SignIn(username="robot", password="right")
    hook.values |= {"login": "robot", "password": "wrong"}
    with pytest.raises(RegistryFault) as error:
        await hook.alist_tags("team/app")
    assert str(error.value) == (
        f"login refused (HTTP 401): Connection 'c', robot at {place_of(hook)}, repository team/app. "
        f"Check username and password. (credentials, http://{place_of(hook)})"
    )


async def test_list_tags_of_a_host_that_is_a_url_reads_the_registry(hook):
    hook.values |= {"host": f"http://{place_of(hook)}/"}
    assert await hook.alist_tags("team/app") == ["v1", "v2"]


async def test_test_connection_of_a_registry_that_offers_a_login_succeeds_and_says_so(hook):
    hook.served.sign_in = SignIn(username="u", password="right")
    ok, text = await asyncio.to_thread(hook.test_connection)
    assert ok
    assert "It offers a login" in text


async def test_test_connection_behind_a_proxy_names_it_without_its_login(hook, tmp_path):
    with TinyProxy(tmp_path, "BasicAuth user hunter2") as proxy:
        hook.values["extra"] = {"proxy": proxy.url.replace("//", "//user:hunter2@")}
        ok, text = await asyncio.to_thread(hook.test_connection)
    assert ok
    assert f"Requests use the proxy {proxy.url}" in text
    down, reason = await asyncio.to_thread(hook.test_connection)
    assert not down
    assert reason.startswith("proxy: ")
    assert proxy.url in reason
    assert "hunter2" not in text + reason


async def test_test_connection_with_a_wrong_password_names_the_credentials(hook):
    hook.served.sign_in = SignIn(username="u", password="right")
    hook.values |= {"login": "u", "password": "wrong-one"}
    ok, text = await asyncio.to_thread(hook.test_connection)
    assert not ok
    assert text.startswith("credentials: ")
    assert "wrong-one" not in text


async def test_test_connection_with_a_line_end_in_the_password_names_the_character(hook):
    hook.values |= {"login": "u", "password": "right\n"}
    ok, text = await asyncio.to_thread(hook.test_connection)
    assert (ok, text.partition(":")[0]) == (False, "credentials")
    assert "line feed" in text
