# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What somebody would write who watches a tag with the HTTP provider: its digest is kept in a Variable."""

from __future__ import annotations

from typing import Any

DIGEST = "Docker-Content-Digest"


def is_new(response: Any, name: str) -> bool:
    """Compare the digest with the one that is kept, and keep it; the first one is not new."""
    from airflow.sdk import Variable

    digest = response.headers[DIGEST]
    known = Variable.get(name, default=None)
    if digest != known:
        Variable.set(name, digest)
    return known is not None and digest != known


async def event_check(response: Any) -> bool:
    """Response check of HttpEventTrigger."""
    return is_new(response, "digest_of_event")


def sensor_check(response: Any) -> bool:
    """Response check of HttpSensor."""
    return is_new(response, "digest_of_sensor")
