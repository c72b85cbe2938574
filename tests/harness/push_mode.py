# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Push mode: a registry that sends its webhooks to an Airflow, and webhooks sent by hand."""

from __future__ import annotations

import json
from typing import Any

from tests.harness.plain_http import Response, request

__all__ = ["SECRET", "distribution_body", "notifications", "send_webhook"]

SECRET = "planted-webhook-secret-of-the-harness"


def notifications(
    airflow_url: str, conn_id: str = "registry_default", secret: str = SECRET
) -> dict[str, Any]:
    """
    Give the section of docker-registry's configuration that sends each push to the endpoint.

    :param airflow_url: base URL of the api-server
    :param conn_id: the Connection whose endpoint it is
    :param secret: of that Connection
    """
    endpoint = {
        "name": "airflow",
        "url": f"{airflow_url}/registry-webhooks/{conn_id}",
        "headers": {"Authorization": [f"Bearer {secret}"]},
        "timeout": "5s",
        "threshold": 3,
        "backoff": "1s",
        "ignore": {"actions": ["pull", "mount", "delete"], "mediatypes": ["application/octet-stream"]},
    }
    return {"notifications": {"endpoints": [endpoint]}}


def distribution_body(repository: str, *tags: str, digest: str = "sha256:" + "0" * 64) -> bytes:
    """Give the body that docker-registry sends for pushes of these tags."""
    events = [
        {
            "id": f"{repository}:{tag}",
            "action": "push",
            "target": {"repository": repository, "tag": tag, "digest": digest},
            "request": {"host": "registry.example.com"},
        }
        for tag in tags
    ]
    return json.dumps({"events": events}).encode()


def send_webhook(
    airflow_url: str, body: bytes, conn_id: str = "registry_default", secret: str = SECRET
) -> Response:
    """Send a webhook as docker-registry does."""
    headers = {
        "Authorization": f"Bearer {secret}",
        "Content-Type": "application/vnd.docker.distribution.events.v1+json",
    }
    return request("POST", f"{airflow_url}/registry-webhooks/{conn_id}", body=body, headers=headers)
