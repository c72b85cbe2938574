# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The registry's own API that a Connection selects."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow.sdk.log import mask_secret

from airflow_registry_triggers.registry.bulk.choice import API_NAMES, chosen_api

if TYPE_CHECKING:
    from airflow_registry_triggers.hooks.connection_extra import ConnectionExtra
    from airflow_registry_triggers.registry.bulk.sources import Api
    from airflow_registry_triggers.registry.http.credentials import Login

__all__ = ["API_FIELDS", "ApiChoice", "api_choice"]

API_FIELDS = ("api", "api_token")
"""Keys of the extra that select an API."""


@dataclass(frozen=True, slots=True)
class ApiChoice:
    """
    The API that watchers and sensors use beside the OCI API.

    :param name: a value of the field ``api``; empty for the OCI API alone
    :param token: OAuth token of Quay
    """

    name: str = ""
    token: str = field(default="", repr=False)

    def for_client(self, login: Login | None) -> Api | None:
        """
        Return the choice in the form that a client takes, None for the OCI API alone.

        :param login: source of credentials; ECR's API uses its cloud Connection
        """
        if not self.name:
            return None
        from airflow_registry_triggers.hooks.cloud_login import CloudLogin
        from airflow_registry_triggers.hooks.clouds.ecr_listing import list_images_of
        from airflow_registry_triggers.registry.bulk.sources import Api

        if self.name == "ecr" and isinstance(login, CloudLogin):
            return Api(self.name, list_images=list_images_of(login))
        return Api(self.name, token=self.token)


def api_choice(read: ConnectionExtra, base_url: str, login: Login | None, *, has_login: bool) -> ApiChoice:
    """
    Read the choice of an API, and let Airflow mask its token in logs.

    :param read: the extra of the Connection
    :param base_url: address of the registry
    :param login: source of credentials in place of the Connection's own
    :param has_login: whether the Connection has a login
    :raises ValueError: a value is not valid, or the API cannot be used with this host
    """
    token = read.secret("api_token")
    if token:
        mask_secret(token)
    name = read.text("api", "auto")
    if name not in API_NAMES:
        raise read.wrong("api", f"one of {', '.join(API_NAMES)}")
    host = urlsplit(base_url).hostname or ""
    has_aws = getattr(login, "cloud", "") == "aws"
    try:
        chosen = chosen_api(name, host, has_login=has_login, has_token=bool(token), has_aws=has_aws)
    except ValueError as error:
        raise ValueError(f"Connection {read.conn_id!r}: {error}") from None
    return ApiChoice(chosen, token if chosen == "quay" else "")
