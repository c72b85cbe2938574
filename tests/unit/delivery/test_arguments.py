# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
from __future__ import annotations

import warnings

import pytest

from airflow_registry_triggers.delivery.arguments import check_arguments


def test_check_arguments_valid_values_pass_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_arguments(
            url="https://hooks.example.com/deploy",
            headers={"X-Team": "web"},
            request_timeout=30,
            success_statuses=[404],
        )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"url": "ftp://hooks.example.com/"}, "ftp"),
        ({"headers": {"X-Team": "a\r\nb"}}, "X-Team"),
        ({"headers": {"Host": "x"}}, "Host"),
        ({"body_format": "xml"}, "xml"),
        ({"body_template": "{{ unclosed"}, "body_template"),
        ({"request_timeout": 61}, "request_timeout=61"),
        ({"request_timeout": True}, "request_timeout=True"),
        ({"success_statuses": [99]}, "99"),
    ],
)
def test_check_arguments_invalid_literal_is_an_error_that_names_it(arguments, text):
    with pytest.raises(ValueError, match=text):
        check_arguments(**arguments)


@pytest.mark.parametrize(
    "arguments", [{"url": "{{ var.value.receiver }}"}, {"headers": {"X-Team": "{{ params.team }}"}}]
)
def test_check_arguments_template_is_not_checked(arguments):
    check_arguments(**arguments)


@pytest.mark.parametrize(
    "arguments",
    [{"url": "https://hooks.example.com/a?token=abc"}, {"headers": {"Authorization": "Bearer secret-value"}}],
)
def test_check_arguments_literal_that_looks_secret_is_a_warning_without_the_value(arguments):
    with pytest.warns(UserWarning, match="everyone who can read the Dag") as caught:
        check_arguments(**arguments)
    assert "secret-value" not in str(caught[0].message)
    assert "token=abc" not in str(caught[0].message)
