# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Check the arguments of a delivery while the Dag is parsed."""

from __future__ import annotations

import warnings
from typing import Any

from airflow_registry_triggers.common.templating import is_literal
from airflow_registry_triggers.hooks.webhook_target import allowed_networks
from airflow_registry_triggers.webhook.body import REGISTRY, check_body
from airflow_registry_triggers.webhook.headers import check_headers
from airflow_registry_triggers.webhook.limits import DEFAULT_TIMEOUT, check_timeout
from airflow_registry_triggers.webhook.outcome import check_success_statuses
from airflow_registry_triggers.webhook.redaction.fields import secret_header_values, url_secrets
from airflow_registry_triggers.webhook.url import parse_endpoint

__all__ = ["CHECKED", "check_arguments"]

CHECKED = ("url", "headers", "body_format", "body_template", "request_timeout", "success_statuses")
"""Names of the arguments that :func:`check_arguments` takes."""

_STACK_LEVEL = 5  # the Dag file that calls the operator, seen from the check of one argument


def check_arguments(
    *,
    url: Any = None,
    headers: Any = None,
    body_format: Any = REGISTRY,
    body_template: Any = None,
    request_timeout: Any = DEFAULT_TIMEOUT,
    success_statuses: Any = (),
) -> None:
    """
    Check the arguments whose value is known while the Dag is parsed; see the operator for each.

    Templated values are checked when the task runs. No HTTP client is imported here.

    :raises ValueError: if an argument is invalid
    """
    if headers and is_literal(headers):
        _check_literal_headers(headers)
    if url is not None and is_literal(url):
        _check_literal_url(url)
    check_body(body_format, body_template)
    check_timeout(request_timeout)
    check_success_statuses(success_statuses)


def _check_literal_headers(headers: Any) -> None:
    if secret_header_values(headers):
        warnings.warn(
            "headers looks like it contains a secret, and everyone who can read the Dag can read it; "
            "move the value to the Connection's headers",
            stacklevel=_STACK_LEVEL,
        )
    check_headers(headers)


def _check_literal_url(url: Any) -> None:
    endpoint = parse_endpoint(url, allowed_networks=allowed_networks())
    if "?" in endpoint.target or url_secrets(url):
        warnings.warn(
            "url contains a query or a long token, and everyone who can read the Dag can read it: "
            "move a secret to the Connection's field secret_query or path",
            stacklevel=_STACK_LEVEL,
        )
