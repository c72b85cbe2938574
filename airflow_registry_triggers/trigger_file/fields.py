# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The fields of a trigger: the type of each, its default, and the class that checks it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple

from airflow_registry_triggers.oci_names import is_tag
from airflow_registry_triggers.registry.asset_uri import asset_name, asset_uri
from airflow_registry_triggers.registry.names import RepositoryReference
from airflow_registry_triggers.registry.tag_order import ORDERS, check_conditions
from airflow_registry_triggers.tag_rule import CONDITIONS, TagRule
from airflow_registry_triggers.trigger_file.conversion import (
    choice,
    flag,
    headers,
    seconds,
    statuses,
    text,
    text_or_texts,
    texts,
)
from airflow_registry_triggers.trigger_file.names import DISABLED_TAG, HELD_TAG, TAG
from airflow_registry_triggers.trigger_file.problems import (
    SECRET_QUERY,
    TEMPLATE,
    FaultyValue,
    Path,
)
from airflow_registry_triggers.webhook.body import FORMATS, check_body
from airflow_registry_triggers.webhook.headers import check_headers

__all__ = ["DEFAULT_FIELDS", "FIELDS", "WATCH_MODES", "Field", "checked", "cross_faults", "watched_rule"]

WATCH_MODES = ("all", "matching")
"""Values of ``watch``."""

ANY_NETWORK = ("0.0.0.0/0", "::/0")
"""Allows every address; the operator applies the deployment's setting."""

MAX_LABEL = 100
"""Characters of a Dag tag in Airflow."""

RESERVED_LABELS = frozenset({TAG, HELD_TAG, DISABLED_TAG})

MAX_CONN_ID = 250
"""Characters of a Connection id in Airflow; an asset without a rule is never too long with it."""

_CONN_ID = re.compile(r"[\w#!()\-.:/\\]+", re.ASCII)  # as Airflow's sanitize_conn_id
_TEMPLATE_MARKS = ("{{", "{%", "{#")


def checked(field: str, value: Any, networks: tuple[str, ...] = ANY_NETWORK) -> Any:
    """
    Return the value of a field in its own type.

    :param field: name of the field
    :param value: text, a list or a mapping of texts from a file, or a Python value
    :param networks: networks that a URL may name though they are not public
    :raises FaultyValue: the field does not accept the value
    """
    spec = FIELDS[field]
    converted = spec.convert(value)
    if field != "body_template":
        _check_no_template(converted)
    if field == "url":
        _check_url(converted, networks)
    elif spec.check is not None:
        _as_faulty(spec.check, converted)
    return converted


def cross_faults(values: Mapping[str, Any]) -> list[tuple[tuple[str, ...], str]]:
    """
    Return the faults of values that are valid alone: the fields, the last of which is at fault, and the text.

    Without fields, the fault is one of the whole trigger.

    :param values: the fields that are set and valid
    """
    faults: list[tuple[tuple[str, ...], str]] = []
    rule = {name: values[name] for name in (*CONDITIONS, "newest") if values.get(name) is not None}
    excluded = rule.get("exclude_regex")
    if "tags" in rule and len(rule) > 1:
        faults.append((tuple(rule), _fault_of(check_conditions, **rule)))
    elif excluded is not None and excluded == rule.get("tag_regex"):
        faults.append((("exclude_regex",), _fault_of(check_conditions, **rule)))
    if "body_template" in values and values.get("body_format", FORMATS[0]) != FORMATS[0]:
        text = _fault_of(check_body, values["body_format"], values["body_template"])
        faults.append((("body_format", "body_template"), text))
    return faults


def asset_fault(values: Mapping[str, Any]) -> str:
    """Return the fault of the assets of a trigger whose fields are valid; empty if there is none."""
    registry = values.get("registry", "registry_default")
    rule = watched_rule(values)
    if not rule and len(registry) < MAX_CONN_ID:
        return ""
    for repository in _as_list(values["repository"]):
        for text_of in (asset_uri, asset_name):
            if text := _fault_of(text_of, repository, registry, **rule):
                return text
    return ""


def watched_rule(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the conditions that are part of the asset: none of them with ``watch: all``."""
    if values.get("watch", "all") != "matching" and values.get("newest") is None:
        return {}
    names = (*CONDITIONS, "newest")
    return {name: values[name] for name in names if values.get(name) is not None}


def has_receiver(names: Mapping[str, Any] | set[str]) -> bool:
    """Return True if a field names the receiver."""
    return "webhook" in names or "url" in names


class Field(NamedTuple):
    """
    Describe one field.

    :param convert: returns the value in its own type, or raises FaultyValue
    :param check: raises ValueError for a value that the class that uses it rejects
    :param in_defaults: whether ``defaults`` may contain the field
    """

    convert: Callable[[Any], Any]
    check: Callable[[Any], object] | None = None
    in_defaults: bool = False


def _check_repositories(value: str | list[str]) -> None:
    if value == []:
        raise FaultyValue("an empty list watches no repository. Write at least one.")
    for position, repository in enumerate(_as_list(value)):
        at: tuple[str | int, ...] = (position,) if isinstance(value, list) else ()
        if text := _fault_of(_parse_repository, repository):
            raise FaultyValue(text, at)
        if repository in _as_list(value)[:position]:
            raise FaultyValue(f"{repository!a} is listed more than once. List each repository once.", at)


def _check_tags(value: list[str]) -> None:
    text = _fault_of(TagRule, value)
    if not text:
        return
    faulty = (n for n, tag in enumerate(value) if not is_tag(tag) or tag in value[:n])
    position = next(faulty, None) if len(value) <= 10 else None
    raise FaultyValue(text, () if position is None else (position,))


@lru_cache(maxsize=4096)
def _check_condition(name: str, text: str) -> str:
    # Triggers of one file often share a rule, and parsing one takes as long as reading the entry.
    return _fault_of(TagRule, **{name: text})


def _condition(name: str, value: str) -> None:
    if text := _check_condition(name, value):
        raise FaultyValue(text)


def _check_conn_id(value: str) -> None:
    if "://" in value:
        # The value is not shown: it may contain a password.
        raise FaultyValue("a URL is not a Connection id. Set url, or create a Connection.")
    if not _CONN_ID.fullmatch(value):
        raise FaultyValue(f"{value!a} is not a Connection id. Use letters, digits, '_', '.' and '-'.")


def _check_registry(value: str) -> None:
    asset_uri("team/app", value)


def _check_header_values(value: dict[str, str]) -> None:
    for name, item in value.items():
        if text := _fault_of(check_headers, {name: item}):
            raise FaultyValue(text, (name,))
    check_headers(value)


def _check_url(value: str, networks: tuple[str, ...]) -> None:
    from airflow_registry_triggers.webhook.url import parse_endpoint

    endpoint = _as_faulty(partial(parse_endpoint, allowed_networks=networks), value)
    if "?" in endpoint.target or "?" in value:
        raise FaultyValue(SECRET_QUERY)


def _check_no_template(value: Any) -> None:
    # Operators render these fields. A template in a reviewed file would read Variables, or a secret.
    if isinstance(value, str):
        parts: Iterable[tuple[Path, Any]] = (((), value),)
    elif isinstance(value, Mapping):
        parts = (((name,), f"{name} {item}") for name, item in value.items())
    elif isinstance(value, list):
        parts = (((position,), text) for position, text in enumerate(value))
    else:
        return
    for at, item in parts:
        if isinstance(item, str) and "{" in item and any(mark in item for mark in _TEMPLATE_MARKS):
            raise FaultyValue(TEMPLATE, at)


def _check_owner(value: str) -> None:
    if not value.strip():
        raise FaultyValue("an owner has at least one character")


def _check_labels(value: list[str]) -> None:
    for position, label in enumerate(value):
        if not 0 < len(label) <= MAX_LABEL:
            raise FaultyValue(f"a label has 1 to {MAX_LABEL} characters", (position,))
        if label in RESERVED_LABELS:
            raise FaultyValue(f"{label!a} marks a state of a trigger; use another label", (position,))


def _as_faulty(check: Callable[[Any], Any], value: Any) -> Any:
    try:
        return check(value)
    except FaultyValue:
        raise
    except ValueError as error:
        raise FaultyValue(str(error)) from None


def _fault_of(check: Callable[..., object], *args: Any, **kwargs: Any) -> str:
    try:
        check(*args, **kwargs)
    except ValueError as error:
        return str(error)
    return ""


def _parse_repository(value: str) -> None:
    RepositoryReference.parse(value)


def _as_list(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


FIELDS: dict[str, Field] = {
    "repository": Field(text_or_texts, _check_repositories),
    "tags": Field(texts, _check_tags),
    "tag_regex": Field(text, partial(_condition, "tag_regex")),
    "semver": Field(text, partial(_condition, "semver")),
    "exclude_regex": Field(text, partial(_condition, "exclude_regex")),
    "newest": Field(partial(choice, ORDERS)),
    "watch": Field(partial(choice, WATCH_MODES), in_defaults=True),
    "collapse": Field(partial(flag, others=("image",)), in_defaults=True),
    "registry": Field(text, _check_registry, in_defaults=True),
    "webhook": Field(text, _check_conn_id, in_defaults=True),
    "url": Field(text, in_defaults=True),
    "headers": Field(headers, _check_header_values, in_defaults=True),
    "body_format": Field(partial(choice, FORMATS), in_defaults=True),
    "body_template": Field(text, partial(check_body, FORMATS[0]), in_defaults=True),
    "success_statuses": Field(statuses, in_defaults=True),
    "request_timeout": Field(seconds, in_defaults=True),
    "owner": Field(text, _check_owner, in_defaults=True),
    "labels": Field(texts, _check_labels, in_defaults=True),
    "enabled": Field(flag),
    "description": Field(text),
}
"""All fields of a trigger."""

DEFAULT_FIELDS = tuple(name for name, field in FIELDS.items() if field.in_defaults)
"""Fields that ``defaults`` may contain."""
