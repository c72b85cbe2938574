# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The extra of a Connection, as JSON, forms and URIs give it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_registry_triggers.hooks.connection_extra import ConnectionExtra

JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.lists(st.integers())


def read(value):
    return ConnectionExtra({"x": value}, "my_conn")


@pytest.mark.parametrize("absent", [None, ""])
def test_extra_with_an_empty_value_returns_the_default(absent):
    extra = read(absent)
    assert not extra.has("x")
    assert (extra.text("x", "d"), extra.secret("x")) == ("d", "")
    assert (extra.number("x", 2.5, 0), extra.integer("x", 2, 0), extra.flag("x", True)) == (2.5, 2, True)


@pytest.mark.parametrize(("value", "number"), [(3, 3.0), ("3", 3.0), (2.5, 2.5), ("2.5", 2.5)])
def test_number_as_number_or_text_is_returned(value, number):
    assert read(value).number("x", 0, at_least=1) == number


@pytest.mark.parametrize("value", [0.5, "-1", "inf", "nan", True, [], {}, "x", 10**400])
def test_number_that_is_not_valid_raises_an_error_with_the_connection_and_the_field(value):
    with pytest.raises(ValueError, match="Connection 'my_conn': x=.* must be a number, at least 1"):
        read(value).number("x", 0, at_least=1)


def test_integer_with_a_fraction_raises_an_error():
    assert read("4").integer("x", 0, at_least=1) == 4
    with pytest.raises(ValueError, match="a whole number, at least 1"):
        read("4.5").integer("x", 0, at_least=1)


@pytest.mark.parametrize(
    ("value", "flag"), [(True, True), ("TRUE", True), (1, True), ("yes", True), (False, False), ("no", False)]
)
def test_flag_as_boolean_or_text_is_returned(value, flag):
    assert read(value).flag("x", not flag) is flag


def test_secret_that_is_not_text_raises_an_error_without_the_value():
    with pytest.raises(ValueError, match="Connection 'my_conn': x must be text") as error:
        read(["planted"]).secret("x")
    assert "planted" not in str(error.value)


@given(JSON)
def test_extra_with_any_value_raises_nothing_but_value_errors(value):
    for method in (
        lambda extra: extra.text("x"),
        lambda extra: extra.secret("x"),
        lambda extra: extra.number("x", 0, 0),
        lambda extra: extra.integer("x", 0, 0),
        lambda extra: extra.flag("x", False),
    ):
        try:
            method(read(value))
        except ValueError as error:
            assert "'my_conn'" in str(error)
