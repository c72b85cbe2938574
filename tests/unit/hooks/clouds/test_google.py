# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Google: the real google-auth against scripted token and metadata endpoints, and a Bearer realm."""

from __future__ import annotations

import json
import sys
import time
from types import ModuleType

import jwt
import pytest
from airflow.sdk import BaseHook
from airflow.sdk._shared.secrets_masker import redact
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from airflow_registry_triggers.registry.errors import RegistryError
from tests.harness.plain_http import Response
from tests.harness.thread_server import ScriptedServer, json_answer
from tests.unit.hooks.clouds.targets import cloud, polled, target
from tests.unit.registry.scripted_registry import ScriptedRegistry, SignIn

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(600)]

TOKEN = "planted-google-access-token-0123456789"


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def endpoint():
    answer = {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"}
    with ScriptedServer(lambda seen: json_answer(answer)) as running:
        yield running


@pytest.fixture
def account(key, endpoint):
    """The key file of a service account."""
    return {
        "type": "service_account",
        "project_id": "project",
        "private_key_id": "planted",
        "private_key": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        "client_email": "airflow@project.iam.gserviceaccount.com",
        "client_id": "1",
        "token_uri": f"{endpoint.url}/token",
    }


@pytest.fixture
async def registry():
    scripted = ScriptedRegistry()
    scripted.put("team/app", ["a", "b"])
    scripted.sign_in = SignIn(username="oauth2accesstoken", password=TOKEN)
    async with scripted.served():
        yield scripted


@pytest.fixture(
    params=["keyfile_dict as text", "keyfile_dict", "prefixed", "key_path", "credential_config_file"]
)
def extra(request, account, tmp_path):
    """The account in each form that the extra of a Connection allows."""
    escaped = {**account, "private_key": account["private_key"].replace("\n", "\\n")}
    path = tmp_path / "key.json"
    path.write_text(json.dumps(account))
    return {
        "keyfile_dict as text": {"keyfile_dict": json.dumps(escaped)},
        "keyfile_dict": {"keyfile_dict": account},
        "prefixed": {"extra__google_cloud_platform__keyfile_dict": json.dumps(account)},
        "key_path": {"key_path": str(path)},
        "credential_config_file": {"credential_config_file": json.dumps(account)},
    }[request.param]


async def test_poll_with_a_key_signs_a_request_and_uses_the_token_at_the_realm(
    registry, endpoint, key, extra
):
    found = await polled(registry, cloud("google_cloud_platform", extra=extra))
    assert found == {"a", "b"}
    assert len(endpoint.seen) == 1
    claims = jwt.decode(
        endpoint.seen[0].form["assertion"],
        key.public_key(),
        ["RS256"],
        audience="https://oauth2.googleapis.com/token",
    )
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    assert registry.by_kind["token"] == 1


async def test_poll_with_a_scope_requests_it(registry, endpoint, account):
    extra = {"keyfile_dict": account, "scope": "https://s/a, https://s/b"}
    await polled(registry, cloud("google_cloud_platform", extra=extra))
    claims = jwt.decode(endpoint.seen[0].form["assertion"], options={"verify_signature": False})
    assert claims["scope"] == "https://s/a https://s/b"


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles"])
async def test_lifetime_of_a_token_is_right_in_every_time_zone(registry, account, monkeypatch, zone):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        one = target(registry, cloud("google_cloud_platform", extra={"keyfile_dict": account}))
        await one.login.current()
        held = one.login._held
        assert held.good_until - held.fetched_at == pytest.approx(3600, abs=30)
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (
            json_answer({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400),
            "credentials",
            "was rejected (RefreshError: invalid_grant: Invalid JWT Signature.). Check its permissions.",
        ),
        (json_answer({"error": "unauthorized_client"}, 401), "credentials", "unauthorized_client"),
        (json_answer({"error": "server_error"}, 500), "unavailable", "no credentials from Connection"),
        (json_answer({"error": "temporarily_unavailable"}, 503), "unavailable", "no credentials from"),
        (
            Response(429, {"content-type": "text/html"}, b"<html>slow down"),
            "unavailable",
            "no credentials from",
        ),
        (
            Response(200, {"content-type": "text/html"}, b"<html>"),
            "unavailable",
            "(unexpected answer, TypeError)",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value.status,
)
async def test_poll_with_a_failing_token_endpoint_names_the_connection(
    registry, endpoint, account, answer, kind, words, monkeypatch
):
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda seconds: None)
    endpoint.script = lambda seen: answer
    with pytest.raises(RegistryError) as raised:
        await polled(registry, cloud("google_cloud_platform", extra={"keyfile_dict": account}))
    assert raised.value.kind == kind
    assert words in str(raised.value)
    assert "Connection 'cloud_default'" in str(raised.value)


async def test_poll_with_an_endpoint_that_is_down_is_unavailable(registry, account, monkeypatch):
    monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda seconds: None)
    account["token_uri"] = "http://127.0.0.1:9/token"
    with pytest.raises(RegistryError, match="no credentials from Connection 'cloud_default'") as raised:
        await polled(registry, cloud("google_cloud_platform", extra={"keyfile_dict": account}))
    assert raised.value.kind == "unavailable"


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"keyfile_dict": "{"}, "keyfile_dict in the extra is not a JSON object"),
        ({"keyfile_dict": "[]"}, "keyfile_dict in the extra is not a JSON object"),
        (
            {"key_path": "/not/there.json"},
            "No such file or directory: '/not/there.json'). Correct the Connection.",
        ),
        ({"key_path": 7}, "key_path in the extra must be text"),
        ({"key_secret_name": "x"}, "key_secret_name is read by the Google provider only"),
        (
            {"keyfile_dict": {"type": "service_account", "private_key": "planted-private-key"}},
            "was rejected (",
        ),
    ],
)
async def test_poll_with_an_unusable_key_names_the_connection_and_no_secret(registry, extra, words):
    with pytest.raises(RegistryError) as raised:
        await polled(registry, cloud("google_cloud_platform", extra=extra))
    assert raised.value.kind == "credentials"
    assert words in str(raised.value)
    assert "Connection 'cloud_default'" in str(raised.value)
    assert "planted" not in str(raised.value)


@pytest.fixture
def metadata(monkeypatch, tmp_path):
    """A scripted metadata server, and no other default credentials."""
    from google.auth.compute_engine import _metadata

    def answer(seen):
        plain = {"metadata-flavor": "Google", "content-type": "application/text"}
        if seen.headers.get("metadata-flavor") != "Google":
            return Response(403, {}, b"")
        if "/token" in seen.path:
            given = {"access_token": TOKEN, "expires_in": 3000, "token_type": "Bearer"}
            return Response(200, {**plain, "content-type": "application/json"}, json.dumps(given).encode())
        if "recursive" in seen.path:
            given = {"email": "default@project", "scopes": ["cloud-platform"], "aliases": ["default"]}
            return Response(200, {**plain, "content-type": "application/json"}, json.dumps(given).encode())
        return Response(200, plain, b"project")

    with ScriptedServer(answer) as running:
        for name in ("GOOGLE_APPLICATION_CREDENTIALS", "NO_GCE_CHECK"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        monkeypatch.setenv("GCE_METADATA_IP", f"127.0.0.1:{running.port}")
        monkeypatch.setattr(_metadata, "_GCE_METADATA_HOST", f"127.0.0.1:{running.port}")
        monkeypatch.setattr("google.auth._exponential_backoff.time.sleep", lambda seconds: None)
        yield running


async def test_poll_with_an_empty_connection_uses_the_metadata_server(registry, metadata):
    found = await polled(registry, cloud("google_cloud_platform"))
    assert found == {"a", "b"}
    assert any("/token" in seen.path for seen in metadata.seen)


async def test_poll_with_an_empty_connection_and_no_metadata_server_names_the_ways_out(
    registry, metadata, monkeypatch
):
    monkeypatch.setenv("GCE_METADATA_IP", "127.0.0.1:9")
    with pytest.raises(
        RegistryError, match="DefaultCredentialsError.*give workers and triggerers a service acc"
    ) as raised:
        await polled(registry, cloud("google_cloud_platform"))
    assert raised.value.kind == "credentials"
    assert metadata.seen == []


async def test_poll_with_the_google_provider_uses_its_hook_and_the_connection_that_was_read(
    registry, account, monkeypatch
):
    from google.oauth2 import service_account

    class GoogleBaseHook(BaseHook):
        def __init__(self, gcp_conn_id):
            super().__init__()
            self.given = json.loads(self.get_connection(gcp_conn_id).extra_dejson["keyfile_dict"])

        def get_credentials(self):
            return service_account.Credentials.from_service_account_info(self.given, scopes=["s"])

    name = "airflow.providers.google"
    for part in (name, f"{name}.common", f"{name}.common.hooks", f"{name}.common.hooks.base_google"):
        monkeypatch.setitem(sys.modules, part, ModuleType(part))
    sys.modules[f"{name}.common.hooks.base_google"].GoogleBaseHook = GoogleBaseHook
    found = await polled(
        registry, cloud("google_cloud_platform", extra={"keyfile_dict": json.dumps(account)})
    )
    assert found == {"a", "b"}


async def test_poll_without_google_auth_names_the_extra_to_install(registry, monkeypatch):
    monkeypatch.setitem(sys.modules, "google.auth.transport.requests", None)
    with pytest.raises(
        RegistryError, match=r"google-auth is missing. Install 'airflow-provider-registry-triggers\[google\]'"
    ):
        await polled(registry, cloud("google_cloud_platform"))


async def test_poll_with_a_token_that_the_realm_rejects_names_the_connection(registry, account):
    registry.sign_in.password = "another"
    with pytest.raises(RegistryError) as raised:
        await polled(registry, cloud("google_cloud_platform", extra={"keyfile_dict": account}))
    assert raised.value.kind == "credentials"
    assert str(raised.value).endswith(
        "credentials from Connection 'cloud_default' were rejected (401). Check its permissions on the repository."
    )


async def test_poll_after_the_realm_rejects_an_older_token_fetches_another_once(
    registry, endpoint, account, monkeypatch
):
    monkeypatch.setattr("airflow_registry_triggers.registry.login.TOO_YOUNG", 0.0)
    registry.sign_in.password = "another"
    endpoint.script = lambda seen: json_answer(
        {
            "access_token": TOKEN if len(endpoint.seen) == 1 else "another",
            "expires_in": 3600,
            "token_type": "Bearer",
        }
    )
    await polled(registry, cloud("google_cloud_platform", extra={"keyfile_dict": account}))
    assert len(endpoint.seen) == 2


async def test_fetch_masks_both_forms_and_logs_no_secret(registry, account, caplog):
    caplog.set_level("DEBUG")
    one = target(registry, cloud("google_cloud_platform", extra={"keyfile_dict": account}))
    await polled(registry, cloud("google_cloud_platform", extra={"keyfile_dict": account}))
    current = await one.login.current()
    for secret in (TOKEN, current.basic.removeprefix("Basic ")):
        assert secret not in str(redact(f"a line with {secret} in it"))
        assert secret not in caplog.text + repr(one) + repr(vars(one.login))
    assert account["private_key"].splitlines()[1] not in caplog.text + repr(one) + repr(vars(one.login))
