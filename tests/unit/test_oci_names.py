# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.oci_names import (
    checked_repository,
    checked_tag,
    docker_hub_repository,
    is_digest,
    is_docker_hub,
    is_referrer,
    is_repository,
    is_tag,
)


@pytest.mark.parametrize("tag", ["v1", "_x", "1.0-rc.1", "A" * 128, "latest"])
def test_is_tag_valid_tag_is_true(tag):
    assert is_tag(tag)


@pytest.mark.parametrize("tag", ["", ".a", "-a", "A" * 129, "a b", "a\n", "ü", None, 3, b"v1"])
def test_is_tag_other_value_is_false(tag):
    assert not is_tag(tag)


@pytest.mark.parametrize("name", ["app", "team/app", "a.b/c_d/e__f/g--h", "0/1", "a" * 255])
def test_is_repository_valid_name_is_true(name):
    assert is_repository(name)


@pytest.mark.parametrize(
    "name", ["", "/app", "app/", "a//b", "Team/app", "a..b", "a___b", "a/-b", "a:b", "a" * 256, "a\n", None]
)
def test_is_repository_other_value_is_false(name):
    assert not is_repository(name)


@pytest.mark.parametrize(
    ("digest", "expected"),
    [
        (f"sha256:{'0' * 64}", True),
        (f"sha512:{'f' * 128}", True),
        (f"sha256:{'0' * 63}", False),
        (f"sha256:{'A' * 64}", False),
        (f"sha384:{'0' * 96}", False),
        (f"sha256:{'0' * 64}\n", False),
        (None, False),
    ],
)
def test_is_digest_needs_a_registered_algorithm_in_lower_case(digest, expected):
    assert is_digest(digest) is expected


@pytest.mark.parametrize("suffix", ["", ".sig", ".att", ".sbom"])
def test_is_referrer_tag_of_another_image_is_true(suffix):
    assert is_referrer(f"sha256-{'0' * 64}{suffix}")


@pytest.mark.parametrize("tag", ["v1.sig", f"sha256-{'0' * 64}.txt", f"sha256-{'0' * 63}"])
def test_is_referrer_other_tag_is_false(tag):
    assert not is_referrer(tag)


@pytest.mark.parametrize(
    "host", ["docker.io", "index.docker.io", "Registry-1.Docker.io", "docker.io:443", "docker.io."]
)
def test_is_docker_hub_each_alias_is_true(host):
    assert is_docker_hub(host)


@pytest.mark.parametrize("host", ["", "docker.io:5000", "docker.io.example.com", "mydocker.io"])
def test_is_docker_hub_other_host_is_false(host):
    assert not is_docker_hub(host)


@pytest.mark.parametrize(("name", "full"), [("nginx", "library/nginx"), ("team/app", "team/app")])
def test_docker_hub_repository_official_image_gets_its_namespace(name, full):
    assert docker_hub_repository(name) == full


@given(st.text(max_size=200))
def test_checked_names_return_the_value_or_raise_an_error_that_names_it(text):
    for checked, is_valid in ((checked_repository, is_repository), (checked_tag, is_tag)):
        if is_valid(text):
            assert checked(text) == text
        else:
            with pytest.raises(ValueError, match="not a valid") as error:
                checked(text)
            assert ascii(text) in str(error.value)
