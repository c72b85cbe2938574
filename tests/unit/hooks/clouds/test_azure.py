# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Azure: the real azure-identity against a scripted authority and metadata server, and a registry's exchange."""

from __future__ import annotations

import logging
import ssl
import sys
import time

import jwt
import pytest
import trustme
from aiohttp import web
from airflow.sdk._shared.secrets_masker import redact

from airflow_registry_triggers.hooks.clouds import azure
from airflow_registry_triggers.registry.errors import RegistryError
from tests.harness.thread_server import ScriptedServer, json_answer
from tests.unit.hooks.clouds.targets import cloud, polled, target
from tests.unit.registry.scripted_registry import ScriptedRegistry, SignIn

pytestmark = [pytest.mark.cloud, pytest.mark.timeout(600)]

SECRET = "planted-client-secret-0123456789"
AAD_TOKEN = "planted-aad-token-0123456789"
JWT_KEY = "a-key-of-32-bytes-for-tests-only"
BUSY = {"error": "temporarily_unavailable", "error_description": "AADSTS90055: Throttled."}
USER = "00000000-0000-0000-0000-000000000000"


def refresh_token(life=11_700):
    return jwt.encode({"exp": int(time.time()) + life, "jti": "planted"}, JWT_KEY, algorithm="HS256")


class Acr(ScriptedRegistry):
    """A registry whose exchange and token service answer in the documented shapes."""

    def __init__(self):
        super().__init__()
        self.put("team/app", ["a", "b"])
        self.refresh_token = refresh_token()
        self.exchanged = []
        self.exchange_status = 200
        self.exchange_body = None
        self.sign_in = SignIn(
            username=USER, password=self.refresh_token, token_name="access_token", life=None
        )
        self.faults.append(self.exchange)

    async def exchange(self, request):
        if request.path != "/oauth2/exchange":
            return None
        form = await request.post()
        self.exchanged.append(dict(form))
        if self.exchange_status != 200:
            return web.json_response({"errors": [{"code": "UNAUTHORIZED"}]}, status=self.exchange_status)
        if self.exchange_body is not None:
            return web.Response(text=self.exchange_body, content_type="text/html")
        return web.json_response({"refresh_token": self.refresh_token})


@pytest.fixture
async def registry():
    scripted = Acr()
    async with scripted.served():
        yield scripted


@pytest.fixture(scope="module")
def ca():
    return trustme.CA()


@pytest.fixture
def authority(ca, tmp_path, monkeypatch):
    """Entra ID with one service principal."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    def answer(seen):
        base = f"{running.url}/tenant"
        if "openid-configuration" in seen.path:
            return json_answer(
                {
                    "token_endpoint": f"{base}/oauth2/v2.0/token",
                    "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                    "issuer": f"{base}/v2.0",
                }
            )
        if seen.form.get("client_secret") != SECRET:
            text = "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent is right."
            return json_answer({"error": "invalid_client", "error_description": text}, 401)
        return json_answer({"token_type": "Bearer", "expires_in": 3599, "access_token": AAD_TOKEN})

    with ScriptedServer(answer, context) as running:
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", running.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        yield running


def principal(password=SECRET, **extra):
    return cloud("azure", login="client", password=password, extra={"tenantId": "tenant", **extra})


async def test_poll_with_a_service_principal_exchanges_its_token_at_the_registry(registry, authority):
    assert await polled(registry, principal()) == {"a", "b"}
    assert authority.seen[-1].form["scope"] == "https://containerregistry.azure.net/.default"
    host = registry.url.removeprefix("http://")
    assert registry.exchanged == [{"grant_type": "access_token", "service": host, "access_token": AAD_TOKEN}]
    assert registry.by_kind["token"] == 1


async def test_lifetime_of_a_refresh_token_is_that_of_its_jwt(registry, authority):
    one = target(registry, principal())
    credentials = await one.login.current()
    held = one.login._held
    assert credentials.username == USER
    assert held.good_until - held.fetched_at == pytest.approx(11_700, abs=30)


@pytest.mark.parametrize("token", ["not-a-jwt", "a.b.c", "a.e30.c"])
async def test_lifetime_of_a_refresh_token_without_an_end_is_60_s(registry, authority, token):
    registry.refresh_token = token
    one = target(registry, principal())
    await one.login.current()
    held = one.login._held
    assert held.good_until - held.fetched_at == pytest.approx(60)


async def test_poll_with_a_wrong_secret_names_the_connection_and_no_secret(registry, authority):
    with pytest.raises(RegistryError, match="AADSTS7000215") as raised:
        await polled(registry, principal("planted-wrong-secret"))
    assert raised.value.kind == "credentials"
    assert "Connection 'cloud_default' was rejected (ClientAuthenticationError: " in str(raised.value)
    assert "planted-wrong-secret" not in str(raised.value)
    assert registry.exchanged == []


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_poll_with_a_throttled_or_failing_authority_is_unavailable(
    registry, authority, monkeypatch, status
):
    monkeypatch.setattr(
        "azure.core.pipeline.transport._requests_basic.RequestsTransport.sleep", lambda *_: None
    )
    good = authority.script
    authority.script = lambda seen: good(seen) if "openid" in seen.path else json_answer(BUSY, status)
    with pytest.raises(RegistryError, match="no credentials from Connection 'cloud_default'") as raised:
        await polled(registry, principal())
    assert raised.value.kind == "unavailable"


async def test_poll_with_an_authority_that_is_down_is_unavailable(registry, authority, monkeypatch):
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", "https://127.0.0.1:9")
    monkeypatch.setattr(
        "azure.core.pipeline.transport._requests_basic.RequestsTransport.sleep", lambda *_: None
    )
    with pytest.raises(RegistryError, match="no credentials from Connection 'cloud_default'") as raised:
        await polled(registry, principal())
    assert raised.value.kind == "unavailable"


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (
            401,
            "credentials",
            "/oauth2/exchange answered 401). Give its identity the role AcrPull on the registry.",
        ),
        (403, "credentials", "Give its identity the role AcrPull"),
        (404, "credentials", "is an Azure registry."),
        (302, "credentials", "is an Azure registry."),
        (429, "unavailable", "/oauth2/exchange answered 429). The watcher retries."),
        (503, "unavailable", "/oauth2/exchange answered 503). The watcher retries."),
    ],
)
async def test_poll_with_a_failing_exchange_says_what_to_do(registry, authority, status, kind, words):
    registry.exchange_status = status
    with pytest.raises(RegistryError) as raised:
        await polled(registry, principal())
    assert raised.value.kind == kind
    assert words in str(raised.value)
    assert AAD_TOKEN not in str(raised.value)


@pytest.mark.parametrize("body", ["<html>", "[]", "{}", '{"refresh_token": 7}', '{"refresh_token": ""}'])
async def test_poll_with_an_exchange_without_a_token_says_so(registry, authority, body):
    registry.exchange_body = body
    with pytest.raises(RegistryError, match="/oauth2/exchange returned no refresh token"):
        await polled(registry, principal())


async def test_poll_with_a_registry_that_is_down_is_unavailable_and_names_no_proxy_password(
    authority, registry
):
    proxy = "http://user:planted-proxy-password@127.0.0.1:9"
    with pytest.raises(RegistryError) as raised:
        await polled(registry, principal(), proxy=proxy)
    assert (raised.value.kind, "planted" in str(raised.value)) in {("unavailable", False), ("proxy", False)}


@pytest.fixture
def imds(monkeypatch):
    """A machine with a managed identity and no other identity."""

    def answer(seen):
        if seen.headers.get("metadata") != "true":
            return json_answer({"error": "invalid_request"}, 400)
        if seen.query.get("client_id") == "unknown":
            return json_answer({"error": "invalid_request", "error_description": "Identity not found"}, 400)
        now = int(time.time())
        return json_answer(
            {
                "access_token": AAD_TOKEN, "expires_in": "3599", "expires_on": str(now + 3599),
                "resource": seen.query.get("resource"), "token_type": "Bearer",
            }
        )  # fmt: skip

    for name in ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE",
                 "IDENTITY_ENDPOINT", "MSI_ENDPOINT"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    with ScriptedServer(answer) as running:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", running.url)
        yield running


async def test_poll_with_an_empty_connection_uses_the_managed_identity(registry, imds):
    assert await polled(registry, cloud("azure")) == {"a", "b"}
    assert imds.seen[-1].query["resource"] == "https://containerregistry.azure.net"


async def test_poll_with_a_user_assigned_identity_names_it(registry, imds):
    extra = {"managed_identity_client_id": "client-7"}
    assert await polled(registry, cloud("azure", extra=extra)) == {"a", "b"}
    assert imds.seen[-1].query["client_id"] == "client-7"


async def test_poll_with_an_empty_connection_and_no_metadata_server_names_the_ways_out(
    registry, imds, monkeypatch
):
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr(
        "azure.core.pipeline.transport._requests_basic.RequestsTransport.sleep", lambda *_: None
    )
    with pytest.raises(RegistryError, match="Connection 'cloud_default' was rejected") as raised:
        await polled(registry, cloud("azure"))
    assert raised.value.kind == "credentials"
    assert imds.seen == []
    assert registry.exchanged == []


async def test_poll_with_an_empty_connection_starts_no_program(registry, imds, monkeypatch, tmp_path):
    for name in ("az", "azd", "pwsh", "powershell"):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho ran > {tmp_path}/ran\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")
    monkeypatch.setattr(
        "azure.core.pipeline.transport._requests_basic.RequestsTransport.sleep", lambda *_: None
    )
    with pytest.raises(RegistryError):
        await polled(registry, cloud("azure"))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"login": "client"}, "login, password and tenantId belong together"),
        ({"login": "client", "password": SECRET}, "login, password and tenantId belong together"),
        ({"extra": {"tenantId": 7}}, "tenantId in the extra must be text"),
        ({"extra": {"cloud_environment": "Moon"}}, "cloud_environment='Moon' is not known"),
    ],
)
async def test_poll_with_an_unusable_connection_says_what_to_set(registry, imds, values, words):
    with pytest.raises(RegistryError, match=words) as raised:
        await polled(registry, cloud("azure", **values))
    assert raised.value.kind == "credentials"
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "authority"),
    [
        ("AzurePublicCloud", "login.microsoftonline.com"),
        ("AzureUSGovernment", "login.microsoftonline.us"),
        ("azurechinacloud", "login.chinacloudapi.cn"),
    ],
)
def test_authority_of_a_cloud_environment_is_its_host(name, authority):
    from airflow_registry_triggers.hooks.clouds.request import CloudRequest

    given = CloudRequest(cloud("azure", extra={"cloud_environment": name}), "team.azurecr.io")
    assert azure._authority(given) == {"authority": authority}


async def test_poll_of_a_registry_with_its_own_ca_uses_it_for_the_exchange(authority, ca, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    scripted = Acr()
    async with scripted.served(ssl_context=context):
        with pytest.raises(RegistryError):
            await polled(scripted, principal(), ca_file="/etc/ssl/certs/ca-certificates.crt")
        assert scripted.exchanged == []
        assert await polled(scripted, principal(), ca_file=str(tmp_path / "ca.pem")) == {"a", "b"}
        assert len(scripted.exchanged) == 1


async def test_poll_without_azure_identity_names_the_extra_to_install(registry, monkeypatch):
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    with pytest.raises(RegistryError, match=r"azure-identity is missing. Install '.*\[azure\]'"):
        await polled(registry, cloud("azure"))


async def test_fetch_masks_both_forms_and_logs_no_secret(registry, authority, caplog):
    caplog.set_level("DEBUG")
    one = target(registry, principal())
    assert await polled(registry, principal()) == {"a", "b"}
    current = await one.login.current()
    for secret in (current.password, current.basic.removeprefix("Basic "), AAD_TOKEN, SECRET):
        assert secret not in caplog.text + repr(one) + repr(vars(one.login))
    for secret in (current.password, current.basic.removeprefix("Basic ")):
        assert secret not in str(redact(f"a line with {secret} in it"))


async def test_fetch_keeps_the_sdk_from_logging_each_request_at_info(
    registry, authority, caplog, monkeypatch
):
    logger = logging.getLogger("azure.core.pipeline.policies.http_logging_policy")
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    logger.manager._clear_cache()
    caplog.set_level("INFO")
    await polled(registry, principal())
    assert "http_logging_policy" not in caplog.text
