# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The address of a Connection, wherever its fields contain the parts."""

from __future__ import annotations

import pytest
from airflow.sdk import Connection
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.hooks.connection_address import ConnectionAddress, parse_address


def parsed(host, port=None, default="https"):
    return parse_address(Connection(conn_id="my_conn", conn_type="x", host=host, port=port), default)


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        (None, None, ("https", "", None, "", "")),
        ("  h.example ", None, ("https", "h.example", None, "", "")),
        ("H.Example.", None, ("https", "h.example", None, "", "")),
        ("HTTP://h:80/a", None, ("http", "h", None, "/a", "")),
        ("h:443", 443, ("https", "h", None, "", "")),
        ("h:8443/a/b/?c=d&e", 8443, ("https", "h", 8443, "/a/b/", "c=d&e")),
        ("h?a=/b", None, ("https", "h", None, "", "a=/b")),
        ("[2001:DB8::1]:5000", None, ("https", "[2001:db8::1]", 5000, "", "")),
        ("2001:db8::1", 5000, ("https", "[2001:db8::1]", 5000, "", "")),
        ("bücher.example", None, ("https", "xn--bcher-kva.example", None, "", "")),
    ],
)
def test_parse_address_of_any_form_is_normalized(host, port, address):
    assert parsed(host, port) == ConnectionAddress(*address)


def test_authority_with_the_default_port_leaves_it_out():
    assert parsed("https://h:443").authority == parsed("h").authority == "h"
    assert parsed("http://h:443").authority == "h:443"


@pytest.mark.parametrize(
    ("host", "port", "words"),
    [
        ("user:planted@h", None, "without a login"),
        ("h#planted", None, "host must be"),
        ("h /a", None, "host must be"),
        ("h\\@evil", None, "host must be|without a login"),
        ("h\n", 0, None),
        ("h:0", None, "not a valid host"),
        ("h:99999", None, "not a valid host"),
        ("h:80", 81, "the host has the port 80, the field Port has 81"),
        ("a..b", None, "not a valid host"),
    ],
)
def test_parse_address_that_is_not_valid_raises_an_error_with_the_connection(host, port, words):
    if words is None:  # white space around the host is not part of it
        assert parsed(host, port).host == "h"
        return
    with pytest.raises(ValueError, match=words) as error:
        parsed(host, port)
    assert "'my_conn'" in str(error.value)
    assert "planted" not in str(error.value)


@given(st.text(st.sampled_from("aB.:/?#@[]\\ü_-1 %\t"), max_size=14), st.none() | st.integers(0, 65535))
def test_parse_address_of_any_text_returns_an_address_or_raises_value_error(host, port):
    try:
        address = parsed(host, port)
    except ValueError as error:
        assert "'my_conn'" in str(error)
        return
    again = parsed(f"{address.scheme}://{address.authority}{address.path}" if address.host else "", None)
    assert again.host == address.host
