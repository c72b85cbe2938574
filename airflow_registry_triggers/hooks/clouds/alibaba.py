# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Alibaba Container Registry: GetAuthorizationToken of an Enterprise instance or of the personal edition."""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_registry_triggers.hooks.clouds.request import CloudFailure, CloudToken, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_registry_triggers.hooks.clouds.request import CloudRequest

__all__ = ["fetch", "region_of"]

_REGION = re.compile(
    r"(?:^registry(?:-vpc|-internal)?|-registry(?:-vpc)?)\.([a-z0-9-]+)\.(?:cr\.)?aliyuncs\.com"
)
_THROTTLED = re.compile(r"Throttling|ServiceUnavailable|InternalError|SystemBusy", re.IGNORECASE)
_CONNECT_TIMEOUT, _READ_TIMEOUT = 5_000, 15_000  # milliseconds


def fetch(request: CloudRequest) -> CloudToken:
    """
    Return a temporary login of the registry. Runs in a thread.

    :raises CloudFailure: Alibaba issued no login
    """
    with _named_failures(request):
        body = _client(request).call_api(*_call(request)).get("body")
    found = _lower(body)
    found = _lower(found["data"]) if isinstance(found.get("data"), dict) else found
    name, token = found.get("tempusername"), found.get("authorizationtoken")
    if not isinstance(name, str) or not isinstance(token, str) or not name or not token:
        code = shown(found.get("code") or "no code", request.connection)
        raise CloudFailure(f"GetAuthorizationToken returned no token: {code}")
    expires = found.get("expiretime") or found.get("expiredate")
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        return CloudToken(name, token, None)
    return CloudToken(name, token, expires / 1000 - time.time())


def region_of(host: str) -> str | None:
    """
    Return the region that a host of the registry contains, None for any other host.

    :param host: ``host[:port]``
    """
    found = _REGION.search(host)
    return found[1] if found else None


def _client(request: CloudRequest) -> Any:
    from alibabacloud_credentials.client import Client as AmbientCredentials
    from alibabacloud_tea_openapi.client import Client
    from alibabacloud_tea_openapi.utils_models import Config

    region = region_of(request.host) or request.text("region", "region_id")
    # The host of an alibaba_cloud Connection is an endpoint of the API, such as that of a VPC.
    endpoint = (request.connection.host or "").rstrip("/")
    if not endpoint and not region:
        raise CloudFailure(
            f"{request.host} contains no region", advice="Set region in the Connection's extra."
        )
    if request.connection.port:
        endpoint = f"{endpoint}:{request.connection.port}"
    key = request.text("access_key_id") or request.connection.login
    secret = request.text("access_key_secret") or request.connection.password
    if bool(key) != bool(secret):
        raise CloudFailure(
            "access_key_id and access_key_secret belong together", advice="Set both, or none of them."
        )
    return Client(
        Config(
            access_key_id=key,
            access_key_secret=secret,
            security_token=request.text("security_token") or None,
            credential=None if key else AmbientCredentials(),
            region_id=region,
            endpoint=endpoint.rpartition("://")[2] or f"cr.{region}.aliyuncs.com",
            protocol="HTTP" if endpoint.startswith("http://") else "HTTPS",
            connect_timeout=_CONNECT_TIMEOUT,
            read_timeout=_READ_TIMEOUT,
        )
    )


def _call(request: CloudRequest) -> tuple[Any, Any, Any]:
    from alibabacloud_tea_openapi.utils_models import OpenApiRequest, Params
    from darabonba.runtime import RuntimeOptions

    is_enterprise = bool(request.instance_id)
    params = Params(
        action="GetAuthorizationToken",
        version="2018-12-01" if is_enterprise else "2016-06-07",
        protocol="HTTPS",
        method="POST" if is_enterprise else "GET",
        auth_type="AK",
        style="RPC" if is_enterprise else "ROA",
        pathname="/" if is_enterprise else "/tokens",
        req_body_type="formData" if is_enterprise else "json",
        body_type="json",
    )
    query = {"InstanceId": request.instance_id} if is_enterprise else {}
    return params, OpenApiRequest(query=query), RuntimeOptions()


def _lower(document: object) -> Mapping[str, Any]:
    """Return an object with its keys in lower case: the two editions differ in them."""
    return (
        {str(name).lower(): value for name, value in document.items()} if isinstance(document, dict) else {}
    )


@contextmanager
def _named_failures(request: CloudRequest) -> Iterator[None]:
    from alibabacloud_credentials.exceptions import CredentialException
    from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
    from darabonba.exceptions import UnretryableException
    from Tea.exceptions import TeaException

    try:
        yield
    except UnretryableException as error:
        inner = error.inner_exception
        if isinstance(inner, CredentialException):
            raise _no_identity(inner, request) from None
        raise CloudFailure(_named(inner, "", request), kind="unavailable") from None
    except CredentialException as error:
        raise _no_identity(error, request) from None
    except TeaException as error:
        code, status = str(error.code or ""), getattr(error, "status_code", None) or 0
        is_throttled = isinstance(error, AlibabaCloudException) and bool(_THROTTLED.search(code))
        kind = "unavailable" if is_throttled or status == 429 or status >= 500 else "credentials"
        raise CloudFailure(_named(error, code, request), kind=kind) from None


def _no_identity(error: Exception, request: CloudRequest) -> CloudFailure:
    return CloudFailure(
        _named(error, "", request),
        advice="Set access_key_id and access_key_secret, or give workers and triggerers a RAM role.",
    )


def _named(error: object, code: str, request: CloudRequest) -> str:
    message = getattr(error, "message", None) or error
    return shown(f"{code or type(error).__name__}: {message}", request.connection)
