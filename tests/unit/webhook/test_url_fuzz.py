# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Rule 1, at random: for any string an Endpoint or an EndpointRefused, and never anything else."""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest

from airflow_registry_triggers.webhook.url import EndpointRefused, parse_endpoint

NORMAL = 50_000
LONG = 1_000_000

SEEDS = (
    "http://hooks.example.com:8080/x?a=1&b=%20#frag",
    "https://hooks.example.com./path/to/../it",
    "https://b\xfccher.example/x",
    "http://xn--bcher-kva.example:1025/",
    "http://93.184.216.34:80/",
    "http://[2606:4700:4700::1111]:8080/x",
    "http://[::ffff:127.0.0.1]/",
    "http://0x7f.0.0.1/",
    "http://2130706433/",
    "http://user:pass@hooks.example.com/",
    "http://127.1.1.1:80\\@127.2.2.2:80/",
    "http://hooks.example.com:443@80/x",
    "http://%31%32%37.0.0.1/",
    "http://\uff11\uff12\uff17.\uff10.\uff10.\uff11/",
    "gopher://127.0.0.1:6379/_INFO",
    "//hooks.example.com/x",
)
INSERTS = (
    *"/:@?#[]\\%.-_ \t\r\n\x00\x7f\x85\xa0\xad0123456789abcdefABCDEFxX",
    *("//", "://", "%00", "%2e", "xn--", "..", "::", "0x", "@@", "http:", "https://", "[::1]"),
    *(
        "\u0660",
        "\u200b",
        "\u200d",
        "\u2028",
        "\u202e",
        "\u2044",
        "\u3002",
        "\uff0e",
        "\uff0f",
        "\ufeff",
        "\ufffe",
        "\uffff",
    ),
    *("\ud800", "\udfff", "\U0001f600", "\U000e0001", "\U0010ffff", "\u0378", "\u1e9e", "\u0345", "\u0301"),
)


def mutated(rng: random.Random) -> str:
    text = rng.choice(SEEDS)
    for _ in range(rng.randrange(1, 6)):
        at, kind = rng.randrange(len(text) + 1), rng.randrange(6)
        if kind < 3:
            text = text[:at] + rng.choice(INSERTS) + text[at:]
        elif kind == 3:
            text = text[:at] + text[at + rng.randrange(1, 4) :]
        elif kind == 4:
            text = text[:at] + chr(rng.randrange(0x110000)) + text[at + 1 :]
        else:
            other = rng.choice(SEEDS)
            text = text[:at] + other[rng.randrange(len(other)) :]
    return text * rng.choice((200, 2000)) if rng.randrange(2000) == 0 else text


def run(count: int, seed: int) -> Counter[str]:
    rng = random.Random(seed)
    seen: Counter[str] = Counter()
    for _ in range(count):
        text = mutated(rng)
        try:
            endpoint = parse_endpoint(text)
        except EndpointRefused as refused:
            seen[refused.reason] += 1
        except Exception as error:
            pytest.fail(f"{text!a} gave {error!r}")
        else:
            seen["accepted"] += 1
            # What was rebuilt means the same to us: there is one reading.
            assert parse_endpoint(endpoint.url) == endpoint, ascii(text)
    return seen


def check(seen: Counter[str]) -> None:
    reasons = {"bad_url", "bad_scheme", "bad_port", "https_port", "userinfo", "control_char", "bad_host"}
    assert set(seen) == reasons | {"encoded_host", "ip_denied", "too_long", "accepted"}


def test_parse_endpoint_mutated_url_is_parsed_or_blocked() -> None:
    check(run(NORMAL, seed=random.randrange(2**32)))


@pytest.mark.fuzz
@pytest.mark.timeout(900)
def test_parse_endpoint_mutated_url_for_long_is_parsed_or_blocked() -> None:
    check(run(int(os.environ.get("FUZZ_EXAMPLES", LONG)), seed=random.randrange(2**32)))
