# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A Docker configuration: the entry of a host, changed, broken and missing files, and helpers."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
from types import SimpleNamespace

import pytest

from airflow_registry_triggers.registry import docker_config, login
from airflow_registry_triggers.registry.docker_config import DockerConfigFile, DockerConfigLogin
from airflow_registry_triggers.registry.errors import RegistryError

SECRET = "planted-docker-secret-0123456789"
HOST = "registry.example.com"


def pair(user="robot", password=SECRET):
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def found(document, host=HOST, **options):
    return DockerConfigFile("/config.json", "c", **options).credentials(document, host)[0]


@pytest.mark.parametrize(
    ("key", "host"),
    [
        (HOST, HOST),
        (f"https://{HOST}/v2/", HOST),
        (f"https://{HOST}/v1/", HOST),
        (f"{HOST}:5000", f"{HOST}:5000"),
        ("https://index.docker.io/v1/", "registry-1.docker.io"),
    ],
)
@pytest.mark.parametrize("entry", [{"auth": pair()}, {"username": "robot", "password": SECRET}])
def test_credentials_of_an_entry_for_the_host_are_its_login(key, host, entry):
    login = found({"auths": {"other.example": {"auth": pair("x", "y")}, key: entry}}, host)
    assert (login.username, login.password) == ("robot", SECRET)
    assert SECRET not in repr(login)


def test_credentials_of_a_password_with_a_colon_and_white_space_are_whole():
    assert found({"auths": {HOST: {"auth": pair(password="a:b") + "\n"}}}).password == "a:b"


def test_credentials_of_a_registry_token_are_a_bearer_token():
    assert found({"auths": {HOST: {"registrytoken": SECRET}}}).bearer == f"Bearer {SECRET}"


def test_credentials_of_an_identity_token_for_azure_are_its_refresh_token():
    login = found(
        {"auths": {HOST: {"auth": pair("0", ""), "identitytoken": SECRET}}}, takes_identity_tokens=True
    )
    assert (login.username, login.password) == ("00000000-0000-0000-0000-000000000000", SECRET)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({}, "has no login for this host"),
        ({"auths": []}, "has no login for this host"),
        ({"auths": {HOST: SECRET}}, "has no login for this host"),
        ({"auths": {HOST: {}}}, "has no login for this host"),
        ({"auths": {f"{HOST}.evil.example": {"auth": pair()}}}, "has no login for this host"),
        ({"auths": {HOST: {"auth": SECRET}}}, "auth is not the base64 of user:password"),
        ({"auths": {HOST: {"auth": base64.b64encode(b"\xff\xfe:").decode()}}}, "auth is not the base64"),
        ({"auths": {HOST: {"auth": [SECRET]}}}, "auth is not text"),
        (
            {"auths": {HOST: {"identitytoken": SECRET}}},
            "the key identitytoken is supported for Azure hosts only",
        ),
        ({"credsStore": "desktop"}, "uses the credential helper 'desktop', which is not allowed"),
        (
            {"credHelpers": {HOST: "ecr-login"}},
            r"Add it to \[registry_triggers\] credential_helpers in airflow.cfg",
        ),
        ({"credHelpers": {HOST: "../../bin/sh"}}, "the name of its credential helper is not valid"),
        ({"credHelpers": {HOST: ["x"]}}, "the name of its credential helper is not valid"),
    ],
)
def test_credentials_without_a_usable_login_name_file_and_connection_and_no_value(document, words):
    with pytest.raises(RegistryError, match=words) as raised:
        found(document)
    assert raised.value.kind == "credentials"
    text = str(raised.value)
    assert text.startswith(f"{HOST}: '/config.json' (Connection 'c')")
    assert SECRET not in text


def test_credentials_of_an_entry_win_over_a_helper():
    document = {"auths": {HOST: {"auth": pair()}}, "credsStore": "not-allowed"}
    assert found(document).password == SECRET


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(login, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "config.json"
    write(path, "first")
    return path


def write(path, password):
    path.write_text(json.dumps({"auths": {HOST: {"auth": pair(password=password)}}}))


@pytest.fixture
def secrets():
    return []


@pytest.fixture
def source(path, clock, secrets):
    return DockerConfigLogin(DockerConfigFile(str(path), "c"), HOST, secrets.append)


async def test_current_masks_the_password_and_its_basic_form(source, secrets):
    await source.current()
    assert secrets == ["first", pair(password="first")]


async def test_current_after_a_change_returns_the_new_login_after_5_s(source, path, clock):
    assert (await source.current()).password == "first"
    write(path, "second-one")
    clock.now += 4.9
    assert (await source.current()).password == "first"
    clock.now += 0.2
    assert (await source.current()).password == "second-one"


async def test_current_of_an_unchanged_file_reads_it_once(source, clock, monkeypatch):
    await source.current()
    monkeypatch.setattr(docker_config.json, "loads", lambda text: pytest.fail("the file was read"))
    for _ in range(5):
        clock.now += 60
        assert (await source.current()).password == "first"


@pytest.mark.parametrize("content", ["{", "[]", "", '{"auths": {}}', None])
async def test_current_after_a_change_that_is_not_valid_keeps_the_login_and_warns_once(
    source, path, clock, caplog, content
):
    await source.current()
    path.unlink() if content is None else path.write_text(content)
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            clock.now += 1000
            assert (await source.current()).password == "first"
    assert len(caplog.records) == 1
    assert "The login that was read before stays in use." in caplog.text
    write(path, "repaired")
    clock.now += 6
    assert (await source.current()).password == "repaired"


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), ("{", "is not a JSON object")])
async def test_current_of_a_file_that_was_never_valid_names_the_field(source, path, content, words):
    path.unlink() if content is None else path.write_text(content)
    with pytest.raises(RegistryError, match=words) as raised:
        await source.current()
    assert str(raised.value).startswith(f"Connection 'c': docker_config={str(path)!r}")
    write(path, "now-there")
    assert (await source.current()).password == "now-there"


async def test_current_of_many_waiters_reads_the_file_once(source, secrets):
    await asyncio.gather(*(source.current() for _ in range(500)))
    assert len(secrets) == 2


async def test_current_with_an_allowed_helper_runs_it_once_for_240_s(
    path, clock, secrets, tmp_path, monkeypatch
):
    program = tmp_path / "docker-credential-test"
    program.write_text(
        '#!/bin/sh\necho run >> "$(dirname "$0")/runs"\n'
        f'echo \'{{"ServerURL": "", "Username": "u", "Secret": "{SECRET}"}}\'\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path.write_text(json.dumps({"credHelpers": {HOST: "test"}}))
    source = DockerConfigLogin(DockerConfigFile(str(path), "c", ("test",)), HOST, secrets.append)
    for _ in range(3):
        assert (await source.current()).password == SECRET
        clock.now += 79
    assert (tmp_path / "runs").read_text().count("run") == 1
    clock.now += 4
    await source.current()
    assert (tmp_path / "runs").read_text().count("run") == 2
    program.write_text("#!/bin/sh\nexit 1\n")
    clock.now += 241
    assert (await source.current()).password == SECRET, "the earlier login is valid for 300 s"
    clock.now += 60
    with pytest.raises(RegistryError, match="ended with exit code 1"):
        await source.current()
    assert SECRET in secrets


async def test_current_with_a_helper_that_is_not_allowed_starts_nothing(
    path, clock, secrets, tmp_path, monkeypatch
):
    program = tmp_path / "docker-credential-test"
    program.write_text('#!/bin/sh\ntouch "$(dirname "$0")/ran"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    path.write_text(json.dumps({"credsStore": "test"}))
    source = DockerConfigLogin(DockerConfigFile(str(path), "c"), HOST, secrets.append)
    with pytest.raises(RegistryError, match="not allowed"):
        await source.current()
    assert not (tmp_path / "ran").exists()
