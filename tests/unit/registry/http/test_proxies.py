# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Tests of the URL of a registry's proxy."""

from __future__ import annotations

import traceback

import pytest

from airflow_registry_triggers.registry.http.proxies import parse_proxy

SECRET = "hunter2-secret"


@pytest.mark.parametrize(
    "text",
    [
        f"http://user:{SECRET}",
        f"http://user:{SECRET}@host:99999",
        f"http://user:x@{SECRET}@a host",
        f"ftp://{SECRET}@proxy:21",
        f"ftp://{SECRET}",
        f"http://proxy:0/{SECRET}",
    ],
)
def test_parse_proxy_with_an_invalid_url_raises_without_its_login(text: str) -> None:
    with pytest.raises(ValueError, match="HTTPS_PROXY is not the URL of a proxy") as caught:
        parse_proxy(text, "HTTPS_PROXY")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("text", [f"http://user:{SECRET}@proxy:3128", f"user:{SECRET}@proxy:3128"])
def test_parse_proxy_with_a_login_shows_it_nowhere(text: str) -> None:
    proxy = parse_proxy(text)
    assert proxy.name == "http://proxy:3128"
    assert SECRET not in repr(proxy)
