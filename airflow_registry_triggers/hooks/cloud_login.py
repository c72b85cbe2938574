# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Registry credentials that a cloud issues for the identity of its own Connection."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import OrderedDict
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.sdk.log import mask_secret

from airflow_registry_triggers.hooks.clouds.hosts import CLOUD_HOSTS
from airflow_registry_triggers.hooks.clouds.request import CloudFailure, CloudRequest, CloudToken, shown
from airflow_registry_triggers.hooks.clouds.threads import DEADLINE, run_in_cloud_thread
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.credentials import Credentials
from airflow_registry_triggers.registry.login import FetchedCredentials, RenewableCredentials

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow.sdk import Connection

__all__ = ["CLOUD_HOSTS", "CloudLogin", "credentials_for"]

_MAX_LOGINS = 256

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _Cloud:
    """The module of a cloud, and the extra of this package that installs its SDK."""

    module: str
    extra: str
    package: str

    def fetch(self, request: CloudRequest) -> CloudToken:
        """Return credentials; runs in a thread, because the SDK is imported here."""
        module = import_module(f"airflow_registry_triggers.hooks.clouds.{self.module}")
        token: CloudToken = module.fetch(request)
        return token


_CLOUDS: Mapping[str, _Cloud] = {
    "aws": _Cloud("amazon", "amazon", "apache-airflow-providers-amazon"),
    "google_cloud_platform": _Cloud("google", "google", "google-auth"),
    "azure": _Cloud("azure", "azure", "azure-identity"),
    "alibaba_cloud": _Cloud("alibaba", "alibaba", "alibabacloud-tea-openapi"),
}

_logins: OrderedDict[str, CloudLogin] = OrderedDict()


class CloudLogin(RenewableCredentials):
    """
    The credentials of one registry, renewed through a cloud Connection.

    :param request: the cloud Connection and the registry
    """

    def __init__(self, request: CloudRequest) -> None:
        super().__init__(_key(request), self._fetch_credentials)
        self._request = request

    @property
    def cloud(self) -> str:
        """Type of the cloud Connection: a key of :data:`CLOUD_HOSTS`."""
        return str(self._request.connection.conn_type)

    @property
    def conn_id(self) -> str:
        """Id of the cloud Connection."""
        return str(self._request.connection.conn_id)

    @property
    def source(self) -> str:
        """The cloud Connection as errors name it."""
        return f"Connection {self.conn_id!r}"

    async def call(self, function: Callable[[CloudRequest], Value]) -> Value:
        """
        Run a function of the cloud's SDK in the threads for clouds.

        :param function: takes the request, raises :class:`CloudFailure`, and imports the SDK itself
        :raises RegistryError: ``credentials`` or ``unavailable``; the text names the cloud Connection
        """
        host, name = self._request.host, self.source
        try:
            return await run_in_cloud_thread(lambda: _contained(function, self._request), self.cloud)
        except TimeoutError:
            text = f"{host}: no credentials from {name} within {DEADLINE:g} s. The watcher retries."
            kind = "unavailable"
        except ModuleNotFoundError:
            cloud, kind = _CLOUDS[self.cloud], "credentials"
            text = (
                f"{name}: {cloud.package} is missing. Install "
                f"'airflow-provider-registry-triggers[{cloud.extra}]'."
            )
        except CloudFailure as failure:
            kind = failure.kind
            if kind == "unavailable":
                text = f"{host}: no credentials from {name} ({failure.detail}). The watcher retries."
            else:
                text = f"{host}: {name} was rejected ({failure.detail}). {failure.advice}"
        raise RegistryError(text, kind=kind, everywhere=True)

    async def _fetch_credentials(self) -> FetchedCredentials:
        token = await self.call(_masked_token)
        credentials = Credentials(token.username, token.password, source=self.source)
        return FetchedCredentials(credentials, token.lifetime)


def credentials_for(cloud: Connection, host: str, extra: Mapping[str, Any]) -> CloudLogin:
    """
    Return the login of a registry; equal arguments share one, with its credentials, in the process.

    :param cloud: a Connection whose type is a key of :data:`CLOUD_HOSTS`
    :param host: ``host[:port]`` of the registry
    :param extra: ``alibaba_instance_id``, ``ca_file``, ``proxy`` and ``scheme`` of the registry's Connection
    :raises ValueError: the type of the Connection is not one of them
    """
    if cloud.conn_type not in _CLOUDS:
        raise ValueError(
            f"Connection {cloud.conn_id!r} has the type {cloud.conn_type!r}. Use a Connection of type "
            f"{', '.join(_CLOUDS)}"
        )
    login = CloudLogin(
        CloudRequest(
            connection=cloud,
            host=host,
            scheme=extra.get("scheme") or "https",
            ca_file=extra.get("ca_file") or "",
            proxy=extra.get("proxy") or "",
            instance_id=extra.get("alibaba_instance_id") or "",
        )
    )
    login = _logins.setdefault(login.key, login)
    _logins.move_to_end(login.key)
    while len(_logins) > _MAX_LOGINS:
        _logins.popitem(last=False)
    return login


def _contained(function: Callable[[CloudRequest], Value], request: CloudRequest) -> Value:
    """Turn every other error into a failure: its text may contain secrets, its traceback holds them."""
    try:
        return function(request)
    except (CloudFailure, ModuleNotFoundError):
        raise
    except (TypeError, LookupError, AttributeError) as error:  # an SDK that reads a web page as an answer
        raise CloudFailure(f"unexpected answer, {type(error).__name__}", kind="unavailable") from None
    except Exception as error:
        is_file = isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError)
        kind = "unavailable" if isinstance(error, OSError) and not is_file else "credentials"
        detail = shown(f"{type(error).__name__}: {error}", request.connection)
        raise CloudFailure(detail, kind=kind, advice="Correct the Connection.") from None


def _masked_token(request: CloudRequest) -> CloudToken:
    token = _CLOUDS[str(request.connection.conn_type)].fetch(request)
    # Airflow would mask the password only, but a request contains the pair.
    mask_secret(token.password)
    mask_secret(base64.b64encode(f"{token.username}:{token.password}".encode()).decode())
    return token


def _key(request: CloudRequest) -> str:
    read = request.connection
    content = [read.conn_id, read.conn_type, read.host, read.port, read.schema, read.login, read.password]
    registry = [request.host, request.scheme, request.ca_file, request.proxy, request.instance_id]
    text = json.dumps([content, read.extra_dejson, registry], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
