# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The sample webhooks of registries, and the push events expected from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow_registry_triggers.inbound.dialects import PushEvent

PAYLOADS = Path(__file__).parents[3] / "../shared/payloads"

GITHUB_EVENT = PushEvent(
    "ghcr.io",
    "codertocat/hello-world",
    None,
    "sha256:3da1996a8115d7616457760d9920b815241d0a03b34cf5f04e9a0e9d8de37498",
    "",
)
GOOGLE_EVENT = PushEvent("us-east1-docker.pkg.dev", "my-project/my-repo/hello-world", "1.1", None, "")
HARBOR_DIGEST = "sha256:954b378c375d852eb3c63ab88978f640b4348b01c1b3456a024a81536dafbbf4"
TAGGED_DIGEST = "sha256:b4758aaed11c155a476b9857e1178f157759c99cb04c907a04993f5481eff848"

EXPECTED: dict[str, tuple[str, list[PushEvent]]] = {
    "alibaba_acr.json": (
        "alibaba",
        [
            PushEvent(
                "",
                "namespace/repoTest",
                "latest",
                "sha256:457f4aa83fc9a6663ab9d1b0a6e2dce25a12a943ed5bf2c1747c58d48bbb4917",
                "2016-11-29 12:25:46",
            )
        ],
    ),
    "alibaba_acr_captured_2019.json": (
        "alibaba",
        [
            PushEvent(
                "",
                "rancher_cn/webhook",
                "latest",
                "sha256:f66daa126e9fcac4e2d0b7131e78ffd5d8e0012a1e6cb150a953e5be8da5d980",
                "2019-03-13 23:38:07",
            )
        ],
    ),
    "alibaba_acr_eventbridge_build_completed.json": ("alibaba_eventbridge", []),
    "azure_acr.json": (
        "azure",
        [
            PushEvent(
                "myregistry.azurecr.io",
                "hello-world",
                "v1",
                "sha256:80f0d5c8786bb9e621a45ece0db56d11cdc624ad20da9fe62e9d25490f331d7d",
                "cb8c3971-9adc-488b-bdd8-43cbb4974ff5",
            )
        ],
    ),
    "azure_acr_captured_2026.json": (
        "azure",
        [
            PushEvent(
                "mojrodevops.azurecr.io",
                "hello-world",
                "test-v1",
                "sha256:c766679d161d4ffe3dc4503b4c9f90b978f0d363fcedb02d1ae0cd271e645c0a",
                "ea889308-3834-4a1d-a631-cadc572dab91",
            )
        ],
    ),
    "azure_eventgrid_image_pushed.json": (
        "event_grid",
        [
            PushEvent(
                "demo.azurecr.io",
                "aci-helloworld",
                "v1",
                "sha256:213bbc182920ab41e18edc2001e06abcca6735d87782d9cef68abd83941cf0e5",
                "31c51664-e5bd-416a-a5df-e5206bc47ed0",
            )
        ],
    ),
    "distribution.json": (
        "distribution",
        [
            PushEvent(
                "registry.git.erxes.io",
                "foo/bar",
                "1.6.1",
                "sha256:4afff550708506c5b8b7384ad10d401a02b29ed587cb2730cb02753095b5178d",
                "d83e8796-7ba5-46ad-b239-d88473e21b2b",
            )
        ],
    ),
    "distribution_envelope_test.json": ("distribution", []),
    "dockerhub.json": (
        "dockerhub",
        [PushEvent("docker.io", "karolisr/keel", "0.1.7", None, "1497467660")],
    ),
    "dockerhub_captured_2021.json": (
        "dockerhub",
        [PushEvent("docker.io", "fireflyiii/core", "develop", None, "1631871970")],
    ),
    "ecr_eventbridge.json": (
        "ecr",
        [
            PushEvent(
                "123456789012.dkr.ecr.us-west-2.amazonaws.com",
                "my-repository-name",
                "latest",
                None,
                "13cde686-328b-6117-af20-0e5566167482",
            )
        ],
    ),
    "github_package.json": ("github", [GITHUB_EVENT]),
    "github_registry_package.json": ("github", [GITHUB_EVENT]),
    "github_registry_package_legacy_tagged.json": (
        "github",
        [PushEvent("ghcr.io", "dingggu/server", "1.2.3", None, "")],
    ),
    "google_artifact_registry.json": ("google", [GOOGLE_EVENT]),
    "google_artifact_registry_pubsub_push_derived.json": ("google_pubsub", [GOOGLE_EVENT]),
    "harbor_cloudevents.json": (
        "harbor",
        [
            PushEvent(
                "localhost", "harbor/alpine", None, HARBOR_DIGEST, "66e18103-09c1-41f6-982f-37df223f3eeb"
            )
        ],
    ),
    "harbor_default.json": (
        "harbor",
        [PushEvent("localhost", "harbor/alpine", None, HARBOR_DIGEST, "1680501893")],
    ),
    "harbor_default_tagged.json": (
        "harbor",
        [PushEvent("quay.io", "mynamespace/repository", "latest", TAGGED_DIGEST, "1582640688")],
    ),
    "harbor_v1_pushImage.json": (
        "harbor",
        [PushEvent("harbor.mydomain.com", "library/ai-rag", "1.2.3", TAGGED_DIGEST, "1582640688")],
    ),
    "jfrog.json": (
        "jfrog",
        [PushEvent("example.jfrog.io/docker-remote-cache", "library/ubuntu", "latest", None, "")],
    ),
    "quay.json": ("quay", [PushEvent("quay.io", "dgangaia/test", "latest", None, "")]),
    "quay_legacy_2013.json": ("quay", [PushEvent("quay.io", "devtable/ubuntu", "latest", None, "")]),
}


def read_sample(name: str) -> bytes:
    """Return the bytes of a sample file."""
    return (PAYLOADS / name).read_bytes()


def parse_sample(name: str) -> Any:
    """Return the JSON of a sample file."""
    return json.loads(read_sample(name))


def encode(value: Any) -> bytes:
    """Return a body of JSON."""
    return json.dumps(value).encode()
