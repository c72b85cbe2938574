# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The fields ``api`` and ``api_token`` of a Connection."""

from __future__ import annotations

import json

import pytest
from airflow.sdk import Connection

from airflow_registry_triggers.hooks import registry_api
from airflow_registry_triggers.hooks.registry_target import target_of

AWS = Connection(conn_id="aws_default", conn_type="aws", login="AKIA", password="planted-aws")
ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


def target(host, cloud=None, login=None, **extra):
    values = {"credentials_conn_id": "aws_default", **extra} if cloud else extra
    connection = Connection(
        conn_id="conn", conn_type="oci_registry", host=host, login=login, password="planted" if login else None,
        extra=json.dumps(values),
    )  # fmt: skip
    return target_of(connection, "team/app", cloud)


@pytest.mark.parametrize(
    ("host", "options", "api"),
    [
        ("team.azurecr.io", {}, "azure"),
        ("team.azurecr.cn", {}, "azure"),
        ("team.azurecr.us:443", {}, "azure"),
        ("TEAM.azurecr.io", {}, "azure"),
        ("team.azurecr.io.evil.example", {}, ""),
        ("azurecr.io.example", {}, ""),
        ("team.azurecr.io", {"api": "oci"}, ""),
        ("docker.io", {}, "docker_hub"),
        ("registry-1.docker.io", {"login": "user"}, "docker_hub"),
        (ECR, {"cloud": AWS}, "ecr"),
        (ECR, {"login": "AWS"}, ""),
        ("registry.example.com", {"cloud": AWS}, ""),
        ("registry.example.com", {"cloud": AWS, "api": "ecr"}, "ecr"),
        ("quay.io", {}, "quay"),
        ("quay.io", {"login": "team+robot"}, ""),
        ("quay.io", {"login": "team+robot", "api_token": "planted-token"}, "quay"),
        ("quay.example.com", {}, ""),
        ("quay.example.com", {"api": "quay"}, "quay"),
        ("harbor.example.com", {"api": "harbor", "login": "robot"}, "harbor"),
        ("harbor.example.com", {}, ""),
        ("ghcr.io", {"api": ""}, ""),
    ],
)
def test_target_of_a_host_selects_the_api(host, options, api):
    assert target(host, **options).api.name == api


@pytest.mark.parametrize(
    ("host", "options", "words"),
    [
        (
            "h",
            {"api": "gitlab"},
            "api='gitlab' must be one of auto, oci, azure, docker_hub, ecr, quay, harbor",
        ),
        ("h", {"api": 1}, "api=1 must be text"),
        ("h", {"api": "docker_hub"}, "lists repositories on docker.io, not on h. Set api to auto"),
        (ECR, {"api": "ecr"}, "Set credentials_conn_id to a Connection of type aws, or api to oci"),
        ("h", {"api": "harbor", "api_token": "planted-token"}, "Remove api_token, or set api to quay"),
        ("quay.io", {"api_token": ["planted-token"]}, "api_token must be text"),
    ],
)
def test_target_of_an_api_that_does_not_fit_raises_an_error_without_secrets(host, options, words):
    with pytest.raises(ValueError) as error:
        target(host, **options)
    assert "Connection 'conn'" in str(error.value)
    assert words in str(error.value)
    assert "planted" not in str(error.value)


def test_target_with_an_api_token_masks_and_hides_it(monkeypatch):
    masked = []
    monkeypatch.setattr(registry_api, "mask_secret", masked.append)
    found = target("quay.io", api_token="planted-token")
    assert masked == ["planted-token"]
    assert "planted-token" not in repr(found)
    assert "planted-token" not in repr(found.client())
    assert "planted-token" not in repr(found.api.for_client(None))


def test_target_of_the_same_connection_is_equal_so_that_a_watcher_keeps_its_client():
    first, second = (target("registry.example.com", cloud=AWS, api="ecr") for _ in range(2))
    assert first == second
