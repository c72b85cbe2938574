# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""References to repositories, hosts and base URLs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.registry.names import (
    RepositoryReference,
    base_of,
    normalized_host,
    registry_name,
)


@pytest.mark.parametrize(
    ("text", "host", "name"),
    [
        ("team/app", None, "team/app"),
        ("nginx", None, "nginx"),
        ("ghcr.io/team/app", "ghcr.io", "team/app"),
        ("oci://GHCR.IO./team/app", "ghcr.io", "team/app"),
        ("ghcr.io:443/team/app", "ghcr.io", "team/app"),
        ("localhost/app", "localhost", "app"),
        ("LOCALHOST:5000/a/b/c", "localhost:5000", "a/b/c"),
        ("[::1]:5000/app", "[::1]:5000", "app"),
        ("my_registry:5000/app", "my_registry:5000", "app"),
        ("bücher.example/app", "xn--bcher-kva.example", "app"),
        ("docker.io/nginx", "registry-1.docker.io", "library/nginx"),
        ("Index.Docker.io:443/team/app", "registry-1.docker.io", "team/app"),
        ("mirror:5001/docker.io/library/x", "mirror:5001", "docker.io/library/x"),
        ("mirror:443/team/app", "mirror", "team/app"),
        ("mirror./team/app", "mirror", "team/app"),
    ],
)
def test_parse_of_a_reference_returns_host_and_name(text, host, name):
    reference = RepositoryReference.parse(text)
    assert (reference.host, reference.name) == (host, name)
    assert RepositoryReference.parse(str(reference)) == reference


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not valid"),
        (None, "is not valid"),
        ("https://ghcr.io/a", "only oci:// can precede it"),
        ("u:planted@ghcr.io/a", "a digest or a login"),
        ("https://u:planted@ghcr.io/a", "a digest or a login"),
        ("team/app@sha256:" + "a" * 64, "a digest or a login"),
        ("team/app:1", "contains a tag"),
        ("ghcr.io:x/app", "is not a host or host:port"),
        ("a..b/app", "is not a host or host:port"),
        ("Team/App", "not a valid name"),
        ("a" * 256, "at most 255 characters"),
    ],
)
def test_parse_of_an_invalid_reference_raises_an_error_without_secrets(text, words):
    with pytest.raises(ValueError) as error:
        RepositoryReference.parse(text)
    assert words in str(error.value)
    assert "planted" not in str(error.value)


@given(
    st.text(st.sampled_from("aB.:/[]_-@ü14"), max_size=20)
    | st.from_regex(r"[ab.]{1,4}(:443)?/a", fullmatch=True)
)
def test_parse_of_any_text_is_stable_or_raises_value_error(text):
    try:
        reference = RepositoryReference.parse(text)
    except ValueError:
        return
    assert RepositoryReference.parse(str(reference)) == reference


@pytest.mark.parametrize("host", ["", ".", "a b", "-a", "a..b", "a/b", "a:1", "[::1", "x" * 300])
def test_normalized_host_of_an_invalid_host_is_none(host):
    assert normalized_host(host) is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("https://r.example", "r.example"),
        ("https://r.example:443/", "r.example"),
        ("http://r.example:80/prefix/", "r.example/prefix"),
        ("http://[::1]:5000", "[::1]:5000"),
    ],
)
def test_registry_name_of_a_base_url_leaves_out_the_default_port(text, name):
    assert registry_name(base_of(text)) == name


@pytest.mark.parametrize(
    "text", ["", "r.example", "ftp://r", "http://", "http://u:planted@r", "http://r?planted", "http://r:0", "http://r x", "http://[]@"]
)  # fmt: skip
def test_base_of_an_invalid_url_raises_an_error_without_secrets(text):
    with pytest.raises(ValueError) as error:
        base_of(text)
    assert "planted" not in str(error.value)
