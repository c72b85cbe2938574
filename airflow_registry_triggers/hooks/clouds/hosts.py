# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The hosts of each cloud's registries: a token goes to no other host that a Dag author chooses."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CLOUD_HOSTS", "REGISTRY_NAMES"]

_PART = r"[a-z0-9-]+"

CLOUD_HOSTS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "aws": re.compile(
            rf"\A[0-9]{{12}}\.dkr[.-]ecr(?:-fips)?\.{_PART}\.(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|on\.aws)\Z"
        ),
        "google_cloud_platform": re.compile(rf"\A(?:(?:{_PART}\.)?gcr\.io|{_PART}-docker\.pkg\.dev)\Z"),
        "azure": re.compile(r"\A[a-z0-9.-]+\.azurecr\.(?:io|cn|us)\Z"),
        "alibaba_cloud": re.compile(
            rf"\A(?:registry(?:-vpc|-internal)?\.{_PART}\.aliyuncs\.com"
            rf"|{_PART}-registry(?:-vpc)?\.{_PART}\.cr\.aliyuncs\.com)\Z"
        ),
    }
)
"""By type of the cloud Connection: the host, in lower case and without a port."""

REGISTRY_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "aws": "Amazon ECR",
        "google_cloud_platform": "Google Artifact Registry",
        "azure": "Azure Container Registry",
        "alibaba_cloud": "Alibaba Container Registry",
    }
)
"""By type of the cloud Connection: the name of its registry in errors."""
