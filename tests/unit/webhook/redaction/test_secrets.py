# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rule 16: secrets are found in every usual encoding."""

from __future__ import annotations

import base64
import json
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


def test_mask_secret_of_fewer_than_4_characters_is_not_searched_for() -> None:
    assert Masker(["app"]).mask("the app of team app") == "the app of team app"


def test_repr_of_a_masker_shows_no_secret() -> None:
    assert "s3cr" not in repr(Masker([SECRET]))
