# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Amazon ECR: credentials through the Amazon provider, whose Connection covers roles and profiles."""

from __future__ import annotations

import re
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_registry_triggers.hooks.clouds.request import CloudFailure, CloudToken, shown
from airflow_registry_triggers.hooks.clouds.threads import silence

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.providers.amazon.aws.hooks.ecr import EcrHook
    from airflow.sdk import Connection

    from airflow_registry_triggers.hooks.clouds.request import CloudRequest

__all__ = ["ecr_hook", "fetch", "named_failures", "region_of"]

_REGION = re.compile(r"\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.")
_THROTTLED = re.compile(
    r"Throttl|TooManyRequests|RequestLimitExceeded|SlowDown|ServiceUnavailable|InternalFail"
)


def fetch(request: CloudRequest) -> CloudToken:
    """
    Return ``GetAuthorizationToken`` of the registry's region. Runs in a thread.

    :raises CloudFailure: Amazon issued no token
    """
    silence("botocore.parsers")  # logs each answer at DEBUG, before the token in it is masked
    with named_failures(request):
        issued = ecr_hook(request).get_temporary_credentials()
    if not issued:
        raise CloudFailure("GetAuthorizationToken returned no token", kind="unavailable")
    token = issued[0]
    expires_at = token.expires_at
    now = datetime.now(expires_at.tzinfo or UTC)
    return CloudToken(
        token.username, token.password, (expires_at.replace(tzinfo=now.tzinfo) - now).total_seconds()
    )


def region_of(host: str) -> str | None:
    """
    Return the region that a host of ECR contains, None for any other host.

    :param host: ``host[:port]``
    """
    found = _REGION.search(host)
    return found[1] if found else None


def ecr_hook(request: CloudRequest) -> EcrHook:
    """
    Return the Amazon provider's hook for ECR, with a Connection that is already read.

    The hook reads its Connection through Airflow's channel, which fails in a thread of a triggerer and
    silently leaves the machine's own identity.
    """
    from airflow.providers.amazon.aws.hooks.ecr import EcrHook

    class ReadEcrHook(EcrHook):
        @classmethod
        def get_connection(cls, conn_id: str) -> Connection:
            return request.connection

    options = {"aws_conn_id": str(request.connection.conn_id), "region_name": region_of(request.host)}
    hook: EcrHook = ReadEcrHook(**options)  # type: ignore[no-untyped-call]
    return hook


@contextmanager
def named_failures(request: CloudRequest) -> Iterator[None]:
    """
    Turn the errors of boto3 into failures whose texts can be shown.

    :raises CloudFailure: for each of them
    """
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        answer = error.response.get("Error", {})
        code, message = str(answer.get("Code", "")), str(answer.get("Message", ""))
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        is_transient = status >= 500 or status == 429 or _THROTTLED.search(code) is not None
        detail = shown(f"{code}: {message}" if message else code, request.connection)
        raise CloudFailure(detail, kind="unavailable" if is_transient else "credentials") from None
    except exceptions.NoRegionError:
        raise CloudFailure(
            f"{request.host} contains no region", advice="Set region_name in the Connection's extra."
        ) from None
    except exceptions.NoCredentialsError:
        raise CloudFailure(
            "NoCredentialsError: the Connection is empty and the machine has no identity",
            advice="Set login and password, or give workers and triggerers a role.",
        ) from None
    except (
        exceptions.HTTPClientError,
        exceptions.ConnectionError,
        exceptions.MetadataRetrievalError,
    ) as error:
        raise CloudFailure(_named(error, request), kind="unavailable") from None
    except exceptions.BotoCoreError as error:
        raise CloudFailure(_named(error, request)) from None


def _named(error: Exception, request: CloudRequest) -> str:
    return shown(f"{type(error).__name__}: {error}", request.connection)
