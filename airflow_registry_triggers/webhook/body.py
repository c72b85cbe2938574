# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Bodies of webhooks: the format of registries, a CloudEvent, or the result of a template."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow_registry_triggers.notification import Notification

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Template

__all__ = [
    "CLOUDEVENTS",
    "CLOUDEVENTS_BINARY",
    "MAX_BODY",
    "REGISTRY",
    "Body",
    "InvalidBody",
    "build_body",
    "check_body",
    "encode_json",
]

MAX_BODY = 1024 * 1024
"""Longest body in bytes."""

REGISTRY = "registry"
CLOUDEVENTS = "cloudevents"
CLOUDEVENTS_BINARY = "cloudevents-binary"
FORMATS = (REGISTRY, CLOUDEVENTS, CLOUDEVENTS_BINARY)

EVENT_TYPE = "airflow.registry_triggers.push"
"""The ``type`` of the CloudEvents."""

JSON_TYPE = "application/json"
CLOUDEVENT_TYPE = "application/cloudevents+json"

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)")
_JINJA = re.compile(r"\{[{%#]")
# CloudEvents HTTP protocol binding 1.0.2, 3.1.3.2: characters of a header value that are not encoded.
_HEADER_SAFE = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')


class InvalidBody(ValueError):
    """A body cannot be made or sent."""


@dataclass(frozen=True, slots=True)
class Body:
    """
    The body of one webhook, made once for all attempts.

    :param content: the bytes that are signed and sent
    :param content_type: value of ``Content-Type``
    :param headers: headers that belong to the body (``ce-*`` of a binary CloudEvent)
    """

    content: bytes
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)


def encode_json(value: Any) -> bytes:
    """
    Return a value as JSON in UTF-8, without spaces and NaN.

    :param value: the value
    :raises InvalidBody: the value is not valid JSON, or takes more than 1 MiB
    """
    try:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        content = text.encode()
    except UnicodeEncodeError:
        raise InvalidBody(
            "the body contains a lone surrogate, which is not valid Unicode; remove it"
        ) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidBody(f"the body is not valid JSON: {error}") from None
    if len(content) > MAX_BODY:
        raise InvalidBody(f"the body has {len(content)} bytes; the limit is {MAX_BODY} (1 MiB). Send less")
    return content


def build_body(
    notification: Notification,
    body_format: str = REGISTRY,
    body_template: str | None = None,
    *,
    webhook_id: str,
) -> Body:
    """
    Return the body of a notification.

    :param notification: the notification
    :param body_format: ``registry``, ``cloudevents`` (structured) or ``cloudevents-binary``
    :param body_template: Jinja template that renders to JSON and replaces ``body_format``; its variables are
        ``push_data``, ``repository``, ``event``, ``tag``, ``digest``, ``webhook_id`` and ``notification``
    :param webhook_id: id of the delivery, and of the CloudEvent
    :raises InvalidBody: the template fails or does not render to JSON, or the body exceeds 1 MiB
    """
    if body_template is not None:
        return Body(_rendered(body_template, notification, webhook_id))
    if body_format == CLOUDEVENTS:
        event = {**_attributes(notification, webhook_id), "data": notification.registry_form()}
        return Body(encode_json(event), CLOUDEVENT_TYPE)
    if body_format == CLOUDEVENTS_BINARY:
        attributes = _attributes(notification, webhook_id)
        attributes.pop("datacontenttype")
        headers = {f"ce-{name}": quote(value, safe=_HEADER_SAFE) for name, value in attributes.items()}
        return Body(encode_json(notification.registry_form()), headers=headers)
    return Body(encode_json(notification.registry_form()))


def check_body(body_format: str = REGISTRY, body_template: str | None = None) -> None:
    """
    Check the choice of a body before there is a notification.

    A template is rendered with an example, so that an invalid one fails when the Dag is parsed. A template
    that uses a field that the example lacks is checked when it is sent.

    :param body_format: see :func:`build_body`
    :param body_template: see :func:`build_body`
    :raises InvalidBody: the format is unknown, or the template is invalid
    """
    if body_format not in FORMATS:
        choices = ", ".join(repr(choice) for choice in FORMATS)
        raise InvalidBody(f"body_format={body_format!r} is not one of {choices}")
    if body_template is None:
        return
    if body_format != REGISTRY:
        raise InvalidBody(
            f"body_format={body_format!r} and body_template exclude each other; remove one of them"
        )
    if not isinstance(body_template, str) or not body_template.strip():
        raise InvalidBody(f"body_template={body_template!r} must be a Jinja template that renders to JSON")
    if not _JINJA.search(body_template):
        _parsed_json(body_template)
    from jinja2 import UndefinedError

    try:
        _rendered(body_template, _example(), "msg_" + "0" * 32)
    except InvalidBody as error:
        if not isinstance(error.__cause__, UndefinedError):
            raise


def _attributes(notification: Notification, webhook_id: str) -> dict[str, str]:
    """Return the context attributes of the CloudEvent (CloudEvents 1.0.2)."""
    path = f"/{quote(notification.repository)}"
    registry = quote(notification.registry, safe=":[]")
    detected = notification.to_dict().get("event")
    time = detected.get("detected_at") if isinstance(detected, dict) else None
    return {
        "specversion": "1.0",
        "id": webhook_id,
        "source": f"oci://{registry}{path}" if registry else path,
        "type": EVENT_TYPE,
        "subject": notification.tag,
        **({"time": time} if isinstance(time, str) and _RFC3339.fullmatch(time) else {}),
        "datacontenttype": JSON_TYPE,
    }


@lru_cache(maxsize=32)
def _template(text: str) -> Template:
    # Imported here, because only templates need Jinja.
    from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    environment.policies["json.dumps_kwargs"] = {"default": _no_json}
    try:
        return environment.from_string(text)
    except (TemplateError, RecursionError) as error:
        line = f" (line {error.lineno})" if isinstance(error, TemplateSyntaxError) else ""
        raise InvalidBody(f"body_template is not valid Jinja{line}: {error}") from None


def _no_json(value: object) -> None:
    from jinja2 import Undefined

    if isinstance(value, Undefined):
        str(value)  # raises an error that names the missing field
    raise TypeError(f"a value of type {type(value).__name__} is not valid in JSON")


def _rendered(text: str, notification: Notification, webhook_id: str) -> bytes:
    data = notification.to_dict()
    event = data.get("event")
    template = _template(text)
    pieces: list[str] = []
    size = 0
    try:
        for piece in template.generate(
            notification=data,
            push_data=data["push_data"],
            repository=data["repository"],
            event=event if isinstance(event, dict) else {},
            tag=notification.tag,
            digest=notification.digest,
            webhook_id=webhook_id,
        ):
            pieces.append(piece)
            size += len(piece)
            if size > MAX_BODY:
                break
    except Exception as error:
        # An expression in a template can raise any exception.
        raise InvalidBody(f"body_template failed: {type(error).__name__}: {error}") from error
    if size > MAX_BODY:
        raise InvalidBody(f"body_template renders to more than {MAX_BODY} characters (1 MiB); send less")
    return encode_json(_parsed_json("".join(pieces)))


def _parsed_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidBody(
            f"body_template must render to JSON, but it renders to {text.strip()[:80]!a} ({error}). Write "
            "values as {{ tag | tojson }}, which adds the quotes"
        ) from None


def _example() -> Notification:
    digest = "sha256:" + "0" * 64
    return Notification(
        {
            "push_data": {"digest": digest, "pushed_at": "2026-01-01 00:00:00", "tag": "latest"},
            "repository": {
                "date_created": "2026-01-01 00:00:00",
                "name": "app",
                "namespace": "team",
                "region": "region",
                "repo_authentication_type": "NO_CERTIFIED",
                "repo_full_name": "team/app",
                "repo_origin_type": "NO_CERTIFIED",
                "repo_type": "PUBLIC",
            },
            "event": {
                "id": "0" * 32,
                "registry": "registry.example.com",
                "action": "updated",
                "previous_digest": digest,
                "detected_at": "2026-01-01T00:00:00Z",
                "image": f"registry.example.com/team/app@{digest}",
                "trigger": {"name": "example", "type": "ALL", "tag": ""},
            },
        }
    )
