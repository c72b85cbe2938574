# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Google Artifact Registry and GCR: an access token of the Google provider's hook or of google-auth."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.hooks.clouds.request import CloudFailure, CloudToken, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Connection

    from airflow_registry_triggers.hooks.clouds.request import CloudRequest

__all__ = ["USERNAME", "fetch"]

USERNAME = "oauth2accesstoken"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_PREFIX = "extra__google_cloud_platform__"


def fetch(request: CloudRequest) -> CloudToken:
    """
    Return a new access token of the Connection's identity. Runs in a thread.

    :raises CloudFailure: Google issued no token
    """
    from google.auth.transport.requests import Request

    with _named_failures(request):
        credentials = _credentials(request)
        credentials.refresh(Request())
    expiry = credentials.expiry  # a naive time in UTC
    lifetime = (expiry.replace(tzinfo=UTC) - datetime.now(UTC)).total_seconds() if expiry else None
    return CloudToken(USERNAME, credentials.token, lifetime)


def _credentials(request: CloudRequest) -> Any:
    """Return the credentials of the Google provider if it is installed, else those of google-auth."""
    try:
        from airflow.providers.google.common.hooks.base_google import GoogleBaseHook
    except ModuleNotFoundError:
        return _own_credentials(request)

    class ReadGoogleHook(GoogleBaseHook):  # type: ignore[misc]
        @classmethod
        def get_connection(cls, conn_id: str) -> Connection:
            return request.connection

    return ReadGoogleHook(gcp_conn_id=str(request.connection.conn_id)).get_credentials()


def _own_credentials(request: CloudRequest) -> Any:
    import google.auth
    from google.auth import impersonated_credentials
    from google.oauth2 import service_account

    scopes = [scope.strip() for scope in _text(request, "scope").split(",") if scope.strip()] or [_SCOPE]
    if _text(request, "key_secret_name"):
        raise CloudFailure(
            "key_secret_name is read by the Google provider only", advice="Install it, or set key_path."
        )
    if path := _text(request, "key_path"):
        found: Any = service_account.Credentials.from_service_account_file(path, scopes=scopes)
    elif key := _document(request, "keyfile_dict"):
        # Reading an RSA key checks it, for 50 ms with the interpreter locked; it cannot change here.
        found = request.kept.get("account")
        if found is None:
            found = service_account.Credentials.from_service_account_info(_with_line_ends(key), scopes=scopes)
            request.kept["account"] = found
    elif config := _value(request, "credential_config_file"):
        if isinstance(config, str) and not config.lstrip().startswith("{"):
            found, _ = google.auth.load_credentials_from_file(config, scopes=scopes)
        else:
            document = _document(request, "credential_config_file")
            found, _ = google.auth.load_credentials_from_dict(document, scopes=scopes)
    else:
        found, _ = google.auth.default(scopes=scopes)
    chain = _chain(request)
    if not chain:
        return found
    return impersonated_credentials.Credentials(
        source_credentials=found, target_principal=chain[-1], delegates=chain[:-1], target_scopes=scopes
    )


def _value(request: CloudRequest, name: str) -> Any:
    value = request.extra.get(name)
    return request.extra.get(_PREFIX + name) if value in (None, "") else value


def _text(request: CloudRequest, name: str) -> str:
    return request.text(name, _PREFIX + name)


def _document(request: CloudRequest, name: str) -> dict[str, Any]:
    """Return a JSON object of the extra, which forms store as text."""
    value = _value(request, name)
    if value in (None, ""):
        return {}
    try:
        value = json.loads(value) if isinstance(value, str) else dict(value)
    except (TypeError, ValueError):
        value = None
    if not isinstance(value, dict):
        raise CloudFailure(f"{name} in the extra is not a JSON object", advice="Correct the extra.")
    return value


def _with_line_ends(key: dict[str, Any]) -> dict[str, Any]:
    """Return a key whose line ends are real ones: a form may have escaped them twice."""
    private = key.get("private_key")
    return {**key, "private_key": private.replace("\\n", "\n")} if isinstance(private, str) else key


def _chain(request: CloudRequest) -> list[str]:
    """Return the accounts to impersonate, the last of them the one whose token is used."""
    value = _value(request, "impersonation_chain") or []
    names = value.split(",") if isinstance(value, str) else value
    return [str(name).strip() for name in names if str(name).strip()]


@contextmanager
def _named_failures(request: CloudRequest) -> Iterator[None]:
    from google.auth import exceptions

    try:
        yield
    except exceptions.TransportError as error:
        raise CloudFailure(_named(error, request), kind="unavailable") from None
    except exceptions.DefaultCredentialsError as error:
        raise CloudFailure(
            _named(error, request),
            advice="Correct the key in the extra, or give workers and triggerers a service account.",
        ) from None
    except exceptions.GoogleAuthError as error:
        kind = "unavailable" if getattr(error, "retryable", False) else "credentials"
        raise CloudFailure(_named(error, request), kind=kind) from None


def _named(error: Exception, request: CloudRequest) -> str:
    return shown(f"{type(error).__name__}: {error.args[0] if error.args else error}", request.connection)
