# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Azure Container Registry: a token of Entra ID, exchanged at the registry for a refresh token."""

from __future__ import annotations

import logging
import os
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.hooks.clouds.request import CloudFailure, CloudToken, shown
from airflow_registry_triggers.registry.http.tokens import jwt_expiry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_registry_triggers.hooks.clouds.request import CloudRequest

__all__ = ["USERNAME", "fetch"]

USERNAME = "00000000-0000-0000-0000-000000000000"
_SCOPE = "https://containerregistry.azure.net/.default"
_EXCHANGE_TIMEOUT = 10.0

_AUTHORITIES = {
    "azurepubliccloud": "login.microsoftonline.com",
    "azureusgovernment": "login.microsoftonline.us",
    "azurechinacloud": "login.chinacloudapi.cn",
}
# An error of the authentication keeps no status, only the text of the library or of Entra ID.
_TRANSIENT = re.compile(
    r"HTTP Error: (?:429|5[0-9]{2})|AADSTS900(?:33|55)\b|temporarily_unavailable|server_error"
)
_REQUEST_LOG = "azure.core.pipeline.policies.http_logging_policy"


def fetch(request: CloudRequest) -> CloudToken:
    """
    Return a refresh token of the registry, for the Connection's identity. Runs in a thread.

    :raises CloudFailure: Entra ID or the registry issued no token
    """
    _quiet()
    with _named_failures(request):
        token = _credential(request).get_token(_SCOPE).token
    refresh_token = _exchanged(request, token)
    expiry = jwt_expiry(refresh_token)
    return CloudToken(USERNAME, refresh_token, None if expiry is None else expiry - time.time())


def _quiet() -> None:
    """Keep the SDK from logging each of its requests at INFO."""
    logger = logging.getLogger(_REQUEST_LOG)
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.WARNING)


def _credential(request: CloudRequest) -> Any:
    from azure.identity import ClientSecretCredential, DefaultAzureCredential

    login, secret = request.connection.login, request.connection.password
    tenant = _text(request, "tenantId")
    options = _authority(request)
    if login and secret and tenant:
        return ClientSecretCredential(tenant, login, secret, **options)
    if login or secret:
        raise CloudFailure(
            "login, password and tenantId belong together", advice="Set all three, or none of them."
        )
    # A Connection must not start programs, so the credentials of command lines are left out.
    return DefaultAzureCredential(
        managed_identity_client_id=_text(request, "managed_identity_client_id") or None,
        workload_identity_tenant_id=_text(request, "workload_identity_tenant_id") or None,
        exclude_cli_credential=True,
        exclude_developer_cli_credential=True,
        exclude_powershell_credential=True,
        exclude_shared_token_cache_credential=True,
        exclude_visual_studio_code_credential=True,
        exclude_broker_credential=True,
        **options,
    )


def _authority(request: CloudRequest) -> dict[str, Any]:
    """Return the options for the authority; one that Microsoft does not know cannot be discovered."""
    name = _text(request, "cloud_environment")
    if not name:
        own = os.environ.get("AZURE_AUTHORITY_HOST", "")
        host = own.removeprefix("https://").rstrip("/ ")
        return {"disable_instance_discovery": True} if host and host not in _AUTHORITIES.values() else {}
    authority = _AUTHORITIES.get(name.lower())
    if authority is None:
        raise CloudFailure(
            f"cloud_environment={name!r} is not known",
            advice="Use AzurePublicCloud, AzureUSGovernment or AzureChinaCloud.",
        )
    return {"authority": authority}


def _exchanged(request: CloudRequest, token: str) -> str:
    """Return the refresh token for a token of Entra ID; it is sent to the registry only."""
    import requests

    form = {"grant_type": "access_token", "service": request.host, "access_token": token}
    try:
        answer = requests.post(
            f"{request.scheme}://{request.host}/oauth2/exchange",
            data=form,
            timeout=_EXCHANGE_TIMEOUT,
            verify=request.ca_file or True,
            proxies={request.scheme: request.proxy} if request.proxy else None,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        # The text of the error may contain the proxy with its password.
        raise CloudFailure(f"{type(error).__name__} at /oauth2/exchange", kind="unavailable") from None
    if answer.status_code != 200:
        raise _exchange_failure(answer.status_code, request)
    try:
        refresh_token = answer.json()["refresh_token"]
    except (ValueError, KeyError, TypeError):
        refresh_token = None
    if not isinstance(refresh_token, str) or not refresh_token:
        raise CloudFailure("/oauth2/exchange returned no refresh token", advice="Check the registry's host.")
    return refresh_token


def _exchange_failure(status: int, request: CloudRequest) -> CloudFailure:
    detail = f"/oauth2/exchange answered {status}"
    if status == 429 or status >= 500:
        return CloudFailure(detail, kind="unavailable")
    if status in (401, 403):
        return CloudFailure(detail, advice="Give its identity the role AcrPull on the registry.")
    return CloudFailure(detail, advice=f"Check that {request.host} is an Azure registry.")


def _text(request: CloudRequest, name: str) -> str:
    return request.text(name, f"extra__azure__{name}")


@contextmanager
def _named_failures(request: CloudRequest) -> Iterator[None]:
    from azure.core import exceptions
    from azure.identity import CredentialUnavailableError

    try:
        yield
    except CredentialUnavailableError as error:
        raise CloudFailure(
            _named(error, request),
            advice="Set login, password and tenantId, or give workers and triggerers a managed identity.",
        ) from None
    except exceptions.AzureError as error:
        kind = "unavailable" if _is_transient(error) else "credentials"
        raise CloudFailure(_named(error, request), kind=kind) from None


def _is_transient(error: BaseException) -> bool:
    """Return True for an answer or a lost connection after which a later request can succeed."""
    from azure.core import exceptions

    if isinstance(error, exceptions.ServiceRequestError | exceptions.ServiceResponseError):
        return True
    status = getattr(getattr(error, "response", None), "status_code", None) or 0
    if status == 429 or status >= 500 or _TRANSIENT.search(str(error)):
        return True
    return error.__cause__ is not None and _is_transient(error.__cause__)


def _named(error: Exception, request: CloudRequest) -> str:
    return shown(f"{type(error).__name__}: {getattr(error, 'message', error)}", request.connection)
