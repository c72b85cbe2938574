# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rules 1 and 2: one strict grammar, and which ports."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_registry_triggers.webhook.url import Endpoint, EndpointRefused, parse_endpoint
from tests.unit.webhook.cases import json_cases, tsv_cases

REASONS = {"bad_url", "bad_scheme", "bad_port", "https_port", "userinfo", "control_char", "bad_host"} | {
    "encoded_host",
    "ip_denied",
    "too_long",
}
EVERYWHERE = ("0.0.0.0/0", "::/0")


def reason_of(url: object, **kwargs: object) -> str:
    try:
        parse_endpoint(url, **kwargs)
    except EndpointRefused as refused:
        return refused.reason
    return "accepted"


REFUSED = {
    "bad_url": ["", "http:", "http://", "http:///h/", "//h.example/x", "h.example:80/x", "h.example", "http:h.example/", "http:\\\\h.example\\x", "https://:443/", "http://h.example/a\\b", "localhost:8080/x"],
    "bad_scheme": ["ftp://h.example/", "httpss://h.example/", "javascript:alert(1)", "data:text/plain,x", "ws://h.example/"],
    "bad_port": ["http://h.example:0/", "http://h.example:65536/", "http://h.example:080/", "http://h.example:+80/", "http://h.example:8_0/", "http://h.example:80:80/", "http://h.example:80 /", "http://h.example:\u0668\u0660/", "http://h.example:1024/", "http://h.example:22/", "https://h.example:70000/"],
    "https_port": ["https://h.example:80/", "https://h.example:8443/", "https://h.example:1/"],
    "userinfo": ["http://u@h.example/", "http://u:p@h.example/", "http://@h.example/", "http://:@h.example/"],
    "control_char": [" http://h.example/", "http://h.example/ ", "http://h.example/\n", "http://h.ex\tample/", "http://h.example/\x7f", "http://h.example/\x85", "http://h.example/\u2028", "http://h.example/\ud800", "http://h.example/\ufeff", "ht\ntp://h.example/", "http://h.example/?a\x00", "http://h.example/#a b", "http:\n//h.example/"],
    "bad_host": ["http://a_b.example/", "http://-a.example/", "http://a-.example/", "http://a..example/", "http://.example/", "http://h.example../", "http://./", "http://" + "a" * 64 + ".example/", "http://" + ".".join(["abcdefg"] * 32) + "/", "http://xn--/", "http://xn--a.example/", "http://[127.0.0.1]/", "http://[::1%25lo]/", "http://[::1]x/", "http://::1/", "http://[::1/", "http://h.example%40x.example/", "http://h.example\\@x.example/", "http://h.example#@x.example/", "http://h.example\\x/", "http://a!b.example/"],
    "encoded_host": ["http://127.1/", "http://0x7f000001/", "http://2130706433/", "http://0177.0.0.1/", "http://127.0.0.1./", "http://1.2.3.4.5/", "http://a.example.0x/", "http://127.0.0.256/", "http://h%65.example/", "http://\uff48.example/", "http://127\u30020\u30020\u30021/", "http://lo\u00adcal.example/", "http://B\u00dcCHER.example/", "http://\u212aelvin.example/", "http://\u2603.example/"],
    "ip_denied": ["http://127.0.0.1/", "http://[::1]/", "http://10.0.0.1:8080/", "https://[::ffff:192.168.0.1]/", "http://u@[::1]/", "http://169.254.169.254/"],
    "too_long": ["http://h.example/" + "a" * 8192, "http://h.example/" + "\u20ac" * 1000],
}  # fmt: skip


@pytest.mark.parametrize("reason", REFUSED)
def test_parse_endpoint_invalid_url_is_blocked(reason: str) -> None:
    assert {url: reason_of(url) for url in REFUSED[reason]} == dict.fromkeys(REFUSED[reason], reason)


@pytest.mark.parametrize("value", [None, 7, b"http://h.example/", ["http://h.example/"], object()])
def test_parse_endpoint_that_is_not_text_is_blocked(value: object) -> None:
    assert reason_of(value) == "bad_url"


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://h.example", Endpoint("http", "h.example", 80, "/")),
        ("HTTPS://H.Example:443?a=b#c", Endpoint("https", "h.example", 443, "/?a=b")),
        ("http://h.example:/x?", Endpoint("http", "h.example", 80, "/x")),
        ("http://h.example.:8080/x", Endpoint("http", "h.example", 8080, "/x", absolute=True)),
        ("https://b\u00fccher.example/\u00fc?\u00fc='", Endpoint("https", "xn--bcher-kva.example", 443, "/%C3%BC?%C3%BC=%27")),
        ("https://xn--bcher-kva.example/", Endpoint("https", "xn--bcher-kva.example", 443, "/")),
        ("http://93.184.216.34:1025/", Endpoint("http", "93.184.216.34", 1025, "/")),
        ("http://[2606:4700:4700:0:0::1111]:8080/", Endpoint("http", "2606:4700:4700::1111", 8080, "/")),
        ("http://[::ffff:8.8.8.8]/", Endpoint("http", "::ffff:808:808", 80, "/")),
        ("http://postgres:5432/", Endpoint("http", "postgres", 5432, "/")),
        ("http://h.example/a/./b/../c/%2E%2e/d/..", Endpoint("http", "h.example", 80, "/a/")),
        ("http://h.example/a b".replace(" ", "%20"), Endpoint("http", "h.example", 80, "/a%20b")),
    ],
)  # fmt: skip
def test_parse_endpoint_valid_url_is_parsed(url: str, endpoint: Endpoint) -> None:
    assert parse_endpoint(url) == endpoint


@pytest.mark.parametrize(
    ("endpoint", "url", "authority"),
    [
        (Endpoint("https", "h.example", 443, "/a"), "https://h.example/a", "h.example"),
        (Endpoint("http", "h.example", 8080, "/a"), "http://h.example:8080/a", "h.example:8080"),
        (
            Endpoint("http", "h.example", 8080, "/a", absolute=True),
            "http://h.example.:8080/a",
            "h.example:8080",
        ),
        (Endpoint("http", "2606::1", 1025, "/"), "http://[2606::1]:1025/", "[2606::1]:1025"),
    ],
)
def test_endpoint_url_is_rebuilt_from_the_parts(endpoint: Endpoint, url: str, authority: str) -> None:
    assert (endpoint.url, endpoint.authority) == (url, authority)
    assert parse_endpoint(url) == endpoint


def test_parse_endpoint_listed_address_only_is_allowed() -> None:
    assert parse_endpoint("http://127.0.0.1:8080/x", allowed_networks=["127.0.0.0/8"]).host == "127.0.0.1"
    assert reason_of("http://127.0.0.1:8080/x", allowed_networks=["10.0.0.0/8"]) == "ip_denied"
    assert parse_endpoint("http://[::1]/", allowed_networks=(text for text in ["::1/128"])).host == "::1"


def test_endpoint_refused_text_has_url_reason_and_advice() -> None:
    with pytest.raises(EndpointRefused) as refused:
        parse_endpoint("http://10.1.2.3/hook")
    text = str(refused.value)
    assert "http://10.1.2.3/hook" in text
    assert "private (RFC 1918)" in text
    assert "[registry_triggers] allowed_networks" in text


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h.example/x?token=SECRETSECRET",
        "https://user:SECRETSECRET@h.example/",
        "https://user:SECRET/SECRET@h.example/",
        "https://user:SECRET?SECRET@h.example/",
        "https://user:SECRET#SECRET@h.example/",
        "https://h.example:8443/hooks/xxxxxxxxxxxxxxxxSECRET",
        "https://h.example:8443/?SECRET",
        "https://h.example:8443/#SECRET",
        "http:\\\\user:SECRET@h.example",
    ],
)
def test_endpoint_refused_text_shows_no_secret(url: str) -> None:
    with pytest.raises(EndpointRefused) as refused:
        parse_endpoint(url)
    assert "SECRET" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_endpoint_repr_shows_no_secret() -> None:
    assert "SECRET" not in repr(parse_endpoint("https://h.example/?token=SECRETSECRET"))


def test_endpoint_refused_text_is_one_short_ascii_line() -> None:
    with pytest.raises(EndpointRefused) as refused:
        parse_endpoint("http://h.example/\n::group::\x1b[31m\u202e" + "a" * 5000)
    text = str(refused.value)
    assert text.isascii()
    assert text.isprintable()
    assert "::group" not in text
    assert len(text) < 500


def test_parse_endpoint_every_port_of_both_schemes_follows_the_rule() -> None:
    low = {80, 21, 443, 70, 210, 280, 488, 591, 777}
    wrong = []
    for port in range(65536):
        for scheme, allowed in (("http", port in low or port >= 1025), ("https", port == 443)):
            got = reason_of(f"{scheme}://h.example:{port}/") == "accepted"
            if got != allowed:
                wrong.append((scheme, port))
    assert wrong == []


def test_parse_endpoint_shared_port_cases_have_their_result() -> None:
    wrong = []
    for row in tsv_cases("port-rules.tsv"):
        for port in range(int(row["from"]), int(row["to"]) + 1):
            got = "allow" if reason_of(f"{row['scheme']}://h.example:{port}/") == "accepted" else "deny"
            if got != row["expected"]:
                wrong.append((row["scheme"], port))
    assert wrong == []


def test_parse_endpoint_shared_url_cases_have_their_reason() -> None:
    # The resolver refuses what is "reject-resolved": see test_network.py. An underscore is refused (rule 1).
    verdicts = {"allow": True, "reject-resolved": True, "reject": False, "decide": False}
    wrong = {}
    for row in json_cases("ssrf-urls.json"):
        got = reason_of(row["url"])
        wanted = "accepted" if verdicts[row["verdict"]] else row["reason"]
        if got != {"underscore": "bad_host"}.get(wanted, wanted):
            wrong[row["id"]] = (wanted, got)
    assert wrong == {}


def test_parse_endpoint_accepted_url_equals_the_url_standard() -> None:
    accepted = 0
    for row in json_cases("urltestdata.json"):
        if not isinstance(row, dict) or reason_of(row["input"], allowed_networks=EVERYWHERE) != "accepted":
            continue
        endpoint = parse_endpoint(row["input"], allowed_networks=EVERYWHERE)
        accepted += 1
        assert not row.get("failure"), row
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.lookup_name
        port = int(row["port"] or {"http:": 80, "https:": 443}[row["protocol"]])
        assert (host, endpoint.port) == (row["hostname"], port), row
        assert endpoint.target == row["pathname"] + row["search"], row
    assert accepted > 50


def test_parse_endpoint_accepted_name_equals_the_standard() -> None:
    accepted = 0
    for row in json_cases("toascii.json"):
        if isinstance(row, dict) and reason_of(f"https://{row['input']}/") == "accepted":
            accepted += 1
            assert parse_endpoint(f"https://{row['input']}/").lookup_name == row["output"], row
    assert accepted > 5


PLAIN = (
    "http",
    "https",
    "HTTP",
    ":",
    "//",
    "/",
    "?",
    "#",
    "@",
    ".",
    "..",
    "[",
    "]",
    "%",
    "%40",
    "%2e",
    "\\",
    "a=b",
    "&",
)
HOSTS = (
    "h.example",
    "xn--bcher-kva",
    "127.0.0.1",
    "::1",
    "0x7f",
    "80",
    "443",
    "8080",
    "99999",
    "_",
    "-",
    "*",
    "{",
    "|",
)
ODD = ("\xfc", "\uff0e", "\u3002", "\u200b", "\x00", "\t", "\n", " ", "\ud800", "\U0001f600")
PIECES = st.sampled_from([*PLAIN, *HOSTS, *ODD])


@settings(max_examples=500)
@given(
    st.one_of(
        st.text(),
        st.lists(PIECES, max_size=12).map("".join),
        st.lists(PIECES, max_size=10).map(lambda p: "http://" + "".join(p)),
    )
)
@example("http://[")
@example("http://xn--0.example/")
@example("https://\u0378.example/")
def test_parse_endpoint_any_text_is_parsed_or_blocked(text: str) -> None:
    try:
        endpoint = parse_endpoint(text)
    except EndpointRefused as refused:
        assert refused.reason in REASONS
        assert str(refused).isascii()
        assert "\n" not in str(refused)
        return
    assert endpoint.url.isascii()
    assert parse_endpoint(endpoint.url) == endpoint
