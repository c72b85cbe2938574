# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rules 15 and 16: secrets in every spelling are masked, and what a receiver sends cannot act in a log."""

from __future__ import annotations

import base64
import html
import json
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from airflow_registry_triggers.webhook.redaction.fields import (
    Masker,
    escape_text,
    mask_headers,
    mask_url,
    query_values,
    secret_header_values,
    url_secrets,
)

if TYPE_CHECKING:
    import random
import time

TOKEN = "xoxb-1234567890-abcdefghij"


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("https://h.example/hook", "https://h.example/hook"),
        ("https://h.example:443/a?b=c&d=&e", "https://h.example:443/a?b=***&d=&***"),
        ("https://h.example/?a=b;c=d", "https://h.example/?a=***;c=***"),
        ("https://h.example/?a=b=c", "https://h.example/?a=***"),
        ("https://h.example/?c2VjcmV0c2VjcmV0c2VjcmV0==", "https://h.example/?***=***"),
        ("https://user:pass@h.example/", "https://***@h.example/"),
        ("https://user@h.example/", "https://***@h.example/"),
        ("https://@h.example/", "https://@h.example/"),
        ("https://a:b/c@h.example/", "https://***@h.example/"),
        ("https://h.example/a@b", "https://h.example/a@b"),
        ("https://h.example/@b?x=u@h", "https://h.example/@b?x=***"),
        ("https://h.example/services/T000/abcdefghijklmnopqrst", "https://h.example/services/T000/***"),
        (
            "https://h.example/services/abcdefghijklmnopqrs/x",
            "https://h.example/services/abcdefghijklmnopqrs/x",
        ),
        ("https://h.example/bot123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11/send", "https://h.example/***/send"),
        ("https://h.example/x#token", "https://h.example/x#***"),
        ("/path?token=abc", "/path?token=***"),
        ("not a url", "not a url"),
        ("", ""),
        ("http://[::1]:80/x?a=b", "http://[::1]:80/x?a=***"),
        ("user:secret@h.example", "***@h.example"),
        ("http:\\\\u:secret@h.example", "***@h.example"),
    ],
)
def test_mask_url_secret_parts_are_masked(url: str, masked: str) -> None:
    assert mask_url(url) == masked


@given(st.text(), st.text("abcdefgh123", min_size=20, max_size=30))
def test_mask_url_any_text_hides_long_segments(text: str, token: str) -> None:
    mask_url(text)
    assert token not in mask_url(f"https://h.example/{text.replace('/', '').replace('@', '')}/{token}")
    assert token not in mask_url(f"https://h.example/?a={token}&{text}")
    assert token not in mask_url(f"https://user:{token}{text}@h.example/")


@given(st.text("abc:/?#@&=;%[]\\.", max_size=40))
def test_url_secrets_contain_all_that_mask_url_masks(url: str) -> None:
    for secret in url_secrets(url):
        assert len(secret) >= 4


def test_url_secrets_of_a_url_are_returned() -> None:
    secrets = url_secrets(
        f"https://user:pa%2Fss@h.example/x/{'a' * 20}?token=s%20cret&bare-secret#frag-secret"
    )
    wanted = {
        "user:pa%2Fss",
        "pa%2Fss",
        "pa/ss",
        "a" * 20,
        "s%20cret",
        "s cret",
        "bare-secret",
        "frag-secret",
    }
    assert wanted <= set(secrets)


def test_query_values_of_a_query_are_returned() -> None:
    assert set(query_values("sig=abc%2Bdef&x=1&plus=a+bc")) >= {"abc%2Bdef", "abc+def", "a+bc", "a bc"}
    assert query_values("") == ()


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "proxy-authorization",
        "X-Auth-Token",
        "token",
        "X-Api-Key",
        "apikey",
        "x_api_key",
        "Set-Cookie",
        "Cookie",
        "X-Client-Secret",
        "X-Amz-Security-Token",
        "PRIVATE-TOKEN",
        "Ocp-Apim-Subscription-Key",
        "X-Password",
    ],
)
def test_mask_headers_credential_is_masked(name: str) -> None:
    assert mask_headers({name: "SECRET"}) == {name: "***"}
    assert "SECRET" in secret_header_values({name: "SECRET"})


@pytest.mark.parametrize("name", ["Content-Type", "webhook-id", "X-Keyboard", "X-Tokens-Left", "Retry-After"])
def test_mask_headers_other_header_is_kept(name: str) -> None:
    assert mask_headers({name: "x-value"}) == {name: "x-value"}
    assert secret_header_values({name: "x-value"}) == ()


def test_mask_headers_url_is_masked() -> None:
    headers = {
        "Location": "/next?token=SECRET",
        "Content-Location": "https://u:SECRET@h.example/",
        "Refresh": "0; url=http://h.example/?a=SECRET",
        "Link": '<https://h.example/?a=SECRET>; rel="next", <https://i.example/?b=SECRET>',
    }
    assert "SECRET" not in str(mask_headers(headers))
    assert mask_headers(headers)["Location"] == "/next?token=***"


def test_secret_header_values_scheme_is_removed() -> None:
    pair = base64.b64encode(b"user:pass-word").decode()
    assert set(secret_header_values({"Authorization": f"Bearer {TOKEN}"})) == {f"Bearer {TOKEN}", TOKEN}
    assert {pair, "user:pass-word", "pass-word"} <= set(
        secret_header_values({"Authorization": f"Basic {pair}"})
    )
    assert secret_header_values({"Authorization": "Basic !!!!"}) == ("Basic !!!!", "!!!!")


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = base64.b64decode(SECRET.removeprefix("whsec_"))


@pytest.mark.parametrize(
    "echo",
    [
        SECRET,
        SECRET.removeprefix("whsec_"),
        quote(SECRET, safe=""),
        "".join(f"%{byte:02x}" for byte in SECRET.encode()),
        "".join(f"\\u{ord(char):04X}" for char in SECRET),
        "".join(f"&#{ord(char)};" for char in SECRET),
        base64.b64encode(SECRET.encode()).decode(),
        KEY.hex(),
        KEY.decode("latin-1"),
        KEY.decode("utf-8", "backslashreplace"),
        quote(KEY),
        json.dumps(KEY.decode("latin-1"))[1:-1],
        json.dumps({"a": [SECRET]}),
        json.dumps(json.dumps({"a": SECRET})),
    ],
)
def test_mask_signing_secret_in_every_encoding_is_masked(echo: str) -> None:
    masked = Masker([SECRET]).mask(f"you sent {echo}, thanks")
    assert "***" in masked
    for part in (SECRET[6:20], SECRET[-12:], KEY.hex()[:12]):
        assert part.lower() not in masked.lower()
    assert Masker(["another-secret"]).mask(echo) == echo


def test_mask_text_without_a_secret_is_unchanged() -> None:
    text = 'a%20b\\u0041 &amp; "quoted" + more'
    assert Masker([SECRET, TOKEN]).mask(text) == text
    assert Masker().mask(text) == text


def test_mask_json_in_json_is_masked() -> None:
    secret = 'token-\u00fc"\\-secret'
    for layers in range(4):
        echo = secret
        for _ in range(layers):
            echo = json.dumps(echo)
        assert "secret" not in Masker([secret]).mask(echo), layers


@pytest.mark.parametrize("filler", ["\\", "%", "&", "+", "\\u0041", "%41", "&amp;", "a", "*", "://", "//@"])
def test_mask_hostile_text_takes_linear_time(filler: str) -> None:
    # Quadratic ones take minutes here; the limit is generous.
    text = TOKEN + filler * (60_000 // len(filler))
    began = time.thread_time()  # of this thread alone, whatever else the machine does
    assert TOKEN not in Masker([TOKEN, SECRET, f"Bearer {TOKEN}"]).mask(text, is_cut=True)
    mask_url(text)
    mask_headers({"Location": text[:8190], "Link": text[:8190], text[:8190]: "x"})
    escape_text(text)
    assert time.thread_time() - began < 10


def test_mask_form_encoded_space_is_masked() -> None:
    assert Masker(["a b-secret"]).mask("x a+b-secret y") == "x *** y"
    assert Masker(["a+b-secret"]).mask("x a b-secret y") == "x *** y"


def test_mask_longer_secret_is_masked_whole() -> None:
    assert Masker(["abcd", "abcdefgh"]).mask("x abcdefgh y abcd z") == "x *** y *** z"


def test_mask_short_secret_is_not_searched_for() -> None:
    assert Masker(["", "a", "abc"]).mask("abc") == "abc"


def test_mask_cut_text_hides_the_beginning_of_a_secret() -> None:
    masker = Masker([TOKEN, "a b/c-secret"])
    assert masker.mask(f"x {TOKEN[:9]}", is_cut=True) == "x ***"
    assert masker.mask("x a%20b%2Fc-se", is_cut=True) == "x ***"
    assert masker.mask(f"x {TOKEN[:9]}") == f"x {TOKEN[:9]}"
    assert masker.mask("nothing of it", is_cut=True) == "nothing of it"


def test_mask_unknown_layers_hide_the_whole_text() -> None:
    # Percent-encoded JSON escapes: known to be a secret, but not where it stands.
    twice = quote("".join(f"\\u{ord(char):04x}" for char in TOKEN))
    layered = "".join(f"&#{ord(char)};" for char in "".join(f"\\u{ord(char):04x}" for char in TOKEN))
    assert Masker([TOKEN]).mask(f"x {layered}") == "***"
    assert TOKEN not in Masker([TOKEN]).mask(twice)


def test_masker_repr_shows_no_secret() -> None:
    assert TOKEN not in repr(Masker([TOKEN]))


def spelled(char: str, how: int) -> str:
    if char in "\\%&" and how in (0, 2):
        how = 3  # between escapes these stand for something else
    return (
        char,
        quote(char, safe="") if char.isascii() else quote(char),
        json.dumps(char)[1:-1],
        "".join(f"%{byte:02X}" for byte in char.encode()),
        "".join(f"\\u{unit}" for unit in _units(char)),
        quote_plus(char),
    )[how]


def _units(char: str) -> list[str]:
    raw = char.encode("utf-16-be").hex()
    return [raw[at : at + 4] for at in range(0, len(raw), 4)]


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=40),
    st.randoms(use_true_random=False),
    st.text(max_size=20),
)
def test_mask_any_secret_with_any_escapes_is_masked(secret: str, rng: random.Random, around: str) -> None:
    assume(len(set(secret)) > 2)
    echo = "".join(spelled(char, rng.randrange(6)) for char in secret)
    masker = Masker([secret])
    assume(not masker.finds(around))
    masked = masker.mask(f"{around} <{echo}> {around}")
    assert "***" in masked
    assert f"<{echo}>" not in masked
    assert not masker.finds(masked.replace("***", "\x00"))


@given(st.text())
@example("\u0130")
def test_escape_text_any_text_is_printable_ascii(text: str) -> None:
    escaped = escape_text(text)
    assert escaped.isascii()
    assert escaped.isprintable() or not escaped
    assert escape_text(escaped) == escaped


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("plain {} text", "plain {} text"),
        ("a\nb\r\n\tc", "a\\nb\\r\\n\\tc"),
        ("\x1b[31m\x07\x00\x7f\x85", "\\u001b[31m\\u0007\\u0000\\u007f\\u0085"),
        ("\u202eevil\u200b\u2028\ufeff", "\\u202eevil\\u200b\\u2028\\ufeff"),
        ("\U0001f600\ud800", "\\U0001f600\\ud800"),
        ("::group::x", "\\u003a:group::x"),
        ("\n::EndGroup::", "\\n\\u003a:EndGroup::"),
        ("fe80::1", "fe80::1"),
    ],
)
def test_escape_text_special_characters_are_escaped(text: str, escaped: str) -> None:
    assert escape_text(text) == escaped


@given(
    st.text(": groupendGROUPEND:\n", max_size=40), st.sampled_from(["::group::", "::endgroup::", "::Group::"])
)
def test_escape_text_opens_no_group(text: str, marker: str) -> None:
    escaped = escape_text(text + marker + text).lower()
    assert "::group" not in escaped
    assert "::endgroup" not in escaped


def test_mask_html_entities_are_masked() -> None:
    secret = "a<b>&'\"c-secret"
    assert secret not in html.unescape(Masker([secret]).mask(f"x {html.escape(secret)}"))
