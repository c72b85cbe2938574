# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rule 16: secrets are found in every usual encoding."""

from __future__ import annotations

import base64
import json
from textwrap import wrap
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.webhook.redaction.secrets import MASK, Masker

SECRET = "s3cr\u00e9t/with+odd=chars"
RAW = SECRET.encode()
CODES = st.sampled_from([base64.b64encode, base64.urlsafe_b64encode])


@pytest.mark.parametrize("before", [b"", b"a", b"ab", b"abc", b"user:"])
@pytest.mark.parametrize("after", [b"", b"x", b"xy", b"xyz"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_mask_base64_at_any_alignment_leaves_nothing(before: bytes, after: bytes, encode: object) -> None:
    encoded = encode(before + RAW + after).decode()  # type: ignore[operator]
    masked = Masker([SECRET]).mask(f"echo {encoded} end")
    assert MASK in masked
    assert masked.startswith("echo ")
    assert masked.endswith(" end")
    # Every group of four characters that contains a byte of the secret alone is gone.
    start = len(before) + 2
    whole = encode((before + RAW)[: start + len(RAW)]).decode()  # type: ignore[operator]
    assert whole[-8:-4] not in masked


@pytest.mark.parametrize(
    "spelling",
    [
        RAW.hex(),
        RAW.hex().upper(),
        "".join(char.upper() if at % 2 else char for at, char in enumerate(RAW.hex())),
        quote(SECRET, ""),
        quote(SECRET, "").lower(),
        json.dumps(SECRET)[1:-1],
        json.dumps(json.dumps(SECRET)[1:-1])[1:-1],
        base64.b64encode(RAW).decode().replace("/", "\\/"),
        quote(base64.b64encode(RAW).decode().rstrip("="), ""),
    ],
)
def test_mask_other_encoding_leaves_only_the_mask(spelling: str) -> None:
    assert Masker([SECRET]).mask(f"<{spelling}>") == f"<{MASK}>"


def test_mask_text_beside_an_encoded_secret_stays() -> None:
    masker = Masker([SECRET])
    assert masker.mask(f"id=17 {RAW.hex()} status=ok") == f"id=17 {MASK} status=ok"
    assert masker.mask("nothing secret in here") == "nothing secret in here"


@given(
    st.text(min_size=6, max_size=24).filter(lambda text: len(set(text)) > 3),
    st.binary(max_size=9),
    st.binary(max_size=9),
    CODES,
)
def test_finds_any_secret_in_base64_of_a_longer_text(
    secret: str, before: bytes, after: bytes, encode: object
) -> None:
    raw = secret.encode("utf-8", "surrogatepass")
    encoded = encode(before + raw + after).decode()  # type: ignore[operator]
    masker = Masker([secret])
    assert masker.finds(encoded)
    assert not masker.finds(masker.mask(encoded))


@given(st.text(min_size=4, max_size=24))
def test_finds_any_secret_in_hexadecimal(secret: str) -> None:
    raw = secret.encode("utf-8", "surrogatepass")
    assert Masker([secret]).finds(f"x{raw.hex().upper()}x")


LONG = base64.encodebytes(b"k" * 50 + RAW + b"z" * 40).decode()
PAIRS = wrap(RAW.hex(), 2)


@pytest.mark.parametrize(
    "spelling",
    [
        LONG,
        LONG.replace("\n", "\r\n "),
        json.dumps(LONG),
        json.dumps(json.dumps(LONG)),
        quote(LONG, ""),
        LONG.replace("\n", "&#10;"),
        json.dumps(LONG.splitlines()),
        LONG.replace("\n", "=\n"),  # quoted-printable
        ":".join(PAIRS),
        ":".join(PAIRS).upper(),
        " ".join(PAIRS),
        "-".join(PAIRS),
        json.dumps("\n".join(PAIRS)),
        ", ".join(f"0x{pair}" for pair in PAIRS),
        "".join(f"={pair}" for pair in PAIRS),
        " ".join(wrap(RAW.hex(), 4)),
        quote(quote(SECRET, ""), ""),
        quote(json.dumps(SECRET)[1:-1], ""),
        quote(json.dumps(LONG), ""),
        quote(quote(LONG, ""), ""),
    ],
)
def test_mask_an_encoding_with_separators_or_in_two_layers_leaves_nothing(spelling: str) -> None:
    assert Masker([SECRET]).mask(f"before {spelling} after") in (MASK, f"before {MASK} after")


@given(st.binary(min_size=6, max_size=40), st.binary(max_size=120), st.integers(1, 76), CODES)
def test_finds_any_secret_in_wrapped_base64(raw: bytes, before: bytes, width: int, encode: object) -> None:
    secret = raw.decode("latin-1")
    encoded = encode(before + secret.encode() + b"after").decode()  # type: ignore[operator]
    masker = Masker([secret])
    joined = base64.b64encode(secret.encode()).decode()
    if sum(char.isalnum() for char in joined) >= 12:  # bytes such as FB EF BE are only pluses
        assert masker.finds("\n".join(wrap(encoded, width)))


@given(st.binary(min_size=6, max_size=40), st.sampled_from([":", " ", "\n", "\\n", ", 0x"]))
def test_finds_any_secret_in_separated_hexadecimal(raw: bytes, separator: str) -> None:
    secret = raw.decode("latin-1")
    assert Masker([secret]).finds(secret.encode().hex(separator[:1]).replace(separator[:1], separator))


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        ("1111", "[31, 31, 31, 31, 31]"),
        ("prod", "cHJ v ZA"),
        ("testtest", "a test test: test\ntest failed"),
        ("teamapps", '{"team": "apps", "team/apps": 1}'),
    ],
)
def test_mask_words_and_numbers_that_only_resemble_a_short_secret_stay(secret: str, text: str) -> None:
    assert Masker([secret]).mask(text) == text


@pytest.mark.parametrize("separated", ["\n".join(wrap(LONG.replace("\n", ""), 10)), ":".join(["00", *PAIRS])])
def test_mask_of_a_cut_text_leaves_no_beginning_of_a_separated_encoding(separated: str) -> None:
    masker = Masker([SECRET])
    hidden = [masker.mask(separated[:length], is_cut=True) == MASK for length in range(len(separated))]
    begins = hidden.index(True)
    assert begins <= 100
    assert all(hidden[begins:])
    assert masker.mask(separated[:begins]) == separated[:begins]


def test_mask_secret_of_fewer_than_4_characters_is_not_searched_for() -> None:
    assert Masker(["app"]).mask("the app of team app") == "the app of team app"


def test_repr_of_a_masker_shows_no_secret() -> None:
    assert "s3cr" not in repr(Masker([SECRET]))
