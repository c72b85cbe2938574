# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The login of a cloud, with a cloud of the test's own: errors, deadlines, masking and sharing."""

from __future__ import annotations

import asyncio
import base64
import threading
from types import SimpleNamespace

import pytest

from airflow_registry_triggers.hooks import cloud_login
from airflow_registry_triggers.hooks.cloud_login import credentials_for
from airflow_registry_triggers.hooks.clouds import amazon, threads
from airflow_registry_triggers.hooks.clouds.request import CloudFailure, CloudToken
from airflow_registry_triggers.registry.errors import RegistryError
from tests.unit.hooks.clouds.targets import cloud

HOST = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
SECRET = "planted-password-0123456789"
TOKEN = "planted-token-0123456789"


@pytest.fixture
def issuer(monkeypatch):
    """A cloud whose answer a test sets; it counts the fetches."""
    issuer = SimpleNamespace(calls=0, answer=lambda: CloudToken("AWS", TOKEN, 3600.0), masked=[])

    def fetch(request):
        issuer.calls += 1
        return issuer.answer()

    monkeypatch.setattr(amazon, "fetch", fetch)
    monkeypatch.setattr(cloud_login, "mask_secret", issuer.masked.append)
    monkeypatch.setattr(cloud_login, "_logins", type(cloud_login._logins)())
    return issuer


@pytest.fixture
def login(issuer):
    return credentials_for(cloud("aws", login="AKIA", password=SECRET), HOST, {})


def failing(error):
    def answer():
        raise error

    return answer


async def test_current_of_a_cloud_login_masks_both_forms_and_names_its_source(login, issuer):
    credentials = await login.current()
    assert (credentials.username, credentials.password) == ("AWS", TOKEN)
    assert credentials.source == login.source == "Connection 'cloud_default'"
    assert issuer.masked == [TOKEN, base64.b64encode(f"AWS:{TOKEN}".encode()).decode()]


async def test_current_of_many_logins_of_one_connection_fetches_once(issuer):
    given = cloud("aws", login="AKIA", password=SECRET)
    await asyncio.gather(*(credentials_for(given, HOST, {}).current() for _ in range(1000)))
    assert issuer.calls == 1


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (
            CloudFailure("AccessDeniedException: no"),
            "credentials",
            f"{HOST}: Connection 'cloud_default' was rejected (AccessDeniedException: no). Check its permissions.",
        ),
        (
            CloudFailure("Throttling", kind="unavailable"),
            "unavailable",
            f"{HOST}: no credentials from Connection 'cloud_default' (Throttling). The watcher retries.",
        ),
        (
            ModuleNotFoundError("No module named 'boto3'", name="boto3"),
            "credentials",
            (
                "Connection 'cloud_default': apache-airflow-providers-amazon is missing. Install "
                "'airflow-provider-registry-triggers[amazon]'."
            ),
        ),
        (
            ValueError(f"the key {SECRET} is bad"),
            "credentials",
            (
                f"{HOST}: Connection 'cloud_default' was rejected (ValueError: the key *** is bad). "
                "Correct the Connection."
            ),
        ),
        (
            ConnectionResetError(104, "reset"),
            "unavailable",
            (
                f"{HOST}: no credentials from Connection 'cloud_default' (ConnectionResetError: [Errno 104] reset). "
                "The watcher retries."
            ),
        ),
        (
            KeyError("token"),
            "unavailable",
            (
                f"{HOST}: no credentials from Connection 'cloud_default' (unexpected answer, KeyError). "
                "The watcher retries."
            ),
        ),
        (
            FileNotFoundError(2, "No such file", "/key.json"),
            "credentials",
            (
                f"{HOST}: Connection 'cloud_default' was rejected (FileNotFoundError: [Errno 2] No such file: "
                "'/key.json'). Correct the Connection."
            ),
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_current_with_a_failing_cloud_raises_its_kind_and_text(login, issuer, error, kind, text):
    issuer.answer = failing(error)
    with pytest.raises(RegistryError) as raised:
        await login.current()
    assert (raised.value.kind, str(raised.value), raised.value.everywhere) == (kind, text, True)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


async def test_current_with_a_hanging_cloud_raises_at_the_deadline(login, issuer, monkeypatch):
    release = threading.Event()
    issuer.answer = lambda: release.wait(60)
    monkeypatch.setattr(threads, "DEADLINE", 0.1)
    try:
        with pytest.raises(RegistryError) as raised:
            await login.current()
    finally:
        release.set()
    assert raised.value.kind == "unavailable"
    assert str(raised.value) == (
        f"{HOST}: no credentials from Connection 'cloud_default' within 30 s. The watcher retries."
    )


async def test_call_of_a_cloud_login_runs_a_function_with_its_request(login):
    assert await login.call(
        lambda request: (request.host, threading.current_thread() is threading.main_thread())
    ) == (
        HOST,
        False,
    )
