# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The texts of registry errors: the cause, the place, and the first sentence only if it adds something."""

from __future__ import annotations

import pytest

from airflow_registry_triggers.hooks.registry_error_texts import CAUSES, check_characters, described
from airflow_registry_triggers.registry.errors import KINDS, RegistryError


def test_causes_of_errors_name_every_kind():
    assert set(CAUSES) == set(KINDS)


@pytest.mark.parametrize(
    ("names_login", "text"),
    [
        (False, "login refused (HTTP 401): the place. Check login and password. (credentials, https://h)"),
        (
            True,
            "login refused (HTTP 401): the place, credentials: h: it was rejected (401). Check login and password.",
        ),
    ],
)
def test_described_error_of_a_login_keeps_a_sentence_that_names_its_source(names_login, text):
    error = RegistryError(
        "h: it was rejected (401). Check login and password.", kind="credentials", status=401
    )
    assert described(error, "the place", "https://h", names_login=names_login) == text


@pytest.mark.parametrize("character", ["\n", "\r", "\t", "\0", "\x7f"])
def test_check_characters_of_a_login_with_a_control_character_names_the_field(character):
    with pytest.raises(RegistryError, match="the password of the Connection contains"):
        check_characters("user", f"planted{character}")
    check_characters(None, None)
