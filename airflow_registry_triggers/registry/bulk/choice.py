# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The choice of a registry's own API from its host."""

from __future__ import annotations

import re

from airflow_registry_triggers.oci_names import is_docker_hub

__all__ = ["API_NAMES", "chosen_api"]

API_NAMES = ("auto", "oci", "azure", "docker_hub", "ecr", "quay", "harbor")
"""Values of the Connection's field ``api``."""

_AZURE = re.compile(r"[a-z0-9.-]+\.azurecr\.(io|cn|us)")
_ECR = re.compile(r"[0-9]{12}\.dkr[.-]ecr(-fips)?\.[a-z0-9-]+\.(amazonaws\.com(\.cn)?|amazonaws\.eu|on\.aws)")


def chosen_api(name: str, host: str, *, has_login: bool, has_token: bool, has_aws: bool) -> str:
    """
    Return the API to use, empty for the OCI API alone.

    ``auto`` chooses by the host where that is certain. A self-hosted registry must be named.

    :param name: one of :data:`API_NAMES`
    :param host: host of the registry, in lower case and without a port
    :param has_login: whether the Connection has a login
    :param has_token: whether the Connection has an OAuth token of Quay
    :param has_aws: whether the credentials come from a Connection of type ``aws``
    :raises ValueError: the API cannot be used with this host or these credentials
    """
    if has_token and name not in ("auto", "oci", "quay"):
        raise ValueError(f"api_token is for Quay, not for api={name!r}. Remove api_token, or set api to quay")
    if name == "docker_hub" and not is_docker_hub(host):
        raise ValueError(f"api='docker_hub' lists repositories on docker.io, not on {host}. Set api to auto")
    if name == "ecr" and not has_aws:
        raise ValueError(
            "api='ecr' needs credentials of AWS. Set credentials_conn_id to a Connection of type aws, or api "
            "to oci"
        )
    if name != "auto":
        return "" if name == "oci" else name
    return _automatic(host, has_login=has_login, has_token=has_token, has_aws=has_aws)


def _automatic(host: str, *, has_login: bool, has_token: bool, has_aws: bool) -> str:
    if _AZURE.fullmatch(host):
        return "azure"
    if is_docker_hub(host):
        return "docker_hub"
    if has_aws and _ECR.fullmatch(host):
        return "ecr"
    # A robot's password opens a private repository to the OCI API only.
    if host == "quay.io" and (has_token or not has_login):
        return "quay"
    return ""
