# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Names of cloud metadata services."""

from __future__ import annotations

import re

__all__ = ["METADATA_NAMES", "is_metadata_name"]

METADATA_NAMES = frozenset(
    {
        "api.metadata.cloud.ibm.com",
        "instance-data",
        "instance-data.ec2.internal",
        "metadata",
        "metadata.amazonaws.com",
        "metadata.azure.internal",
        "metadata.goog",
        "metadata.google.internal",
        "metadata.packet.net",
        "metadata.platformequinix.com",
        "metadata.tencentyun.com",
    }
)
"""Names of cloud metadata services, blocked by name: some resolve to addresses that look public."""

# Amazon's name outside its first region, such as instance-data.eu-west-1.compute.internal.
_REGIONAL_NAME = re.compile(r"instance-data\.[a-z0-9-]+\.compute\.internal")


def is_metadata_name(host: str) -> bool:
    """
    Return True if a host is a name of a cloud metadata service.

    :param host: in any case, with or without a trailing dot
    """
    name = host.lower().rstrip(".")
    return name in METADATA_NAMES or _REGIONAL_NAME.fullmatch(name) is not None
