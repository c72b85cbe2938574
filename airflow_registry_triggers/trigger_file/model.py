# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The model of one trigger, and of a trigger file for its JSON schema."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from airflow_registry_triggers.trigger_file.fields import (
    DEFAULT_FIELDS,
    FIELDS,
    asset_fault,
    checked,
    cross_faults,
    watched_rule,
)
from airflow_registry_triggers.trigger_file.names import PREFIX
from airflow_registry_triggers.trigger_file.problems import NO_RECEIVER, invalid_name
from airflow_registry_triggers.webhook.limits import DEFAULT_TIMEOUT, MAX_TIMEOUT, MIN_TIMEOUT

if TYPE_CHECKING:
    from airflow.sdk import DAG

__all__ = ["DEFAULT_OWNER", "NAME", "RegistryTrigger", "TriggerFile", "is_name", "json_schema"]

NAME = r"^[a-z0-9][a-z0-9_.-]{0,99}$"
"""Expression for the name of a trigger."""

DEFAULT_OWNER = "registry-triggers"

_NAME = re.compile(NAME)

# An editor reads 1.10 as a number and "on" as a boolean; a trigger file reads both as text.
_SCALAR = {"type": ["string", "number", "boolean"]}
Text = Annotated[str, WithJsonSchema(_SCALAR)]
Texts = Annotated[list[str], WithJsonSchema({"type": "array", "items": _SCALAR})]
OneOrMoreTexts = Annotated[
    str | list[str],
    WithJsonSchema({"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR, "minItems": 1}]}),
]
Headers = Annotated[dict[str, str], WithJsonSchema({"type": "object", "additionalProperties": _SCALAR})]
Collapse = Annotated[bool | Literal["image"], WithJsonSchema({"enum": [False, True, "image"]})]
Statuses = Annotated[
    list[int],
    WithJsonSchema({"type": "array", "items": {"type": "integer", "minimum": 200, "maximum": 599}}),
]
Seconds = Annotated[float, WithJsonSchema({"type": "number", "minimum": MIN_TIMEOUT, "maximum": MAX_TIMEOUT})]


def is_name(name: object) -> bool:
    """Return True if the value is a valid name of a trigger."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


class Entry(BaseModel):
    """
    A trigger without its name, as a file contains it.

    The description of each field is part of the JSON schema.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository: OneOrMoreTexts = Field(description="The repository, or a list of repositories.")
    tags: Texts | None = Field(None, description="Exact tags, at most 10.")
    tag_regex: Text | None = Field(None, description="RE2 expression for the whole tag.")
    semver: Text | None = Field(None, description="Range of versions, such as >=1.2 <2.")
    exclude_regex: Text | None = Field(None, description="RE2 expression for tags that never match.")
    newest: Literal["version", "number", "text"] | None = Field(
        None, description="Watch only the greatest tag, in this order."
    )
    watch: Literal["all", "matching"] = Field(
        "all", description="Watch the whole repository, or only tags that match."
    )
    collapse: Collapse = Field(False, description="Keep one push of each tag, or of each image, in a run.")
    registry: Text = Field("registry_default", description="Connection id of the registry.")
    webhook: Text | None = Field(None, description="Connection id of the receiver.")
    url: Text | None = Field(None, description="URL of the receiver, without userinfo and query.")
    headers: Headers | None = Field(None, description="Additional headers.")
    body_format: Literal["registry", "cloudevents", "cloudevents-binary"] = Field(
        "registry", description="Format of the body."
    )
    body_template: Text | None = Field(None, description="Jinja template that renders to JSON.")
    success_statuses: Statuses = Field(
        [], description="Statuses that count as delivered, in addition to 2xx."
    )
    request_timeout: Seconds = Field(DEFAULT_TIMEOUT, description="Seconds for one attempt.")
    owner: Text = Field(DEFAULT_OWNER, description="Owner of the Dag.")
    labels: Texts = Field([], description="Dag tags.")
    enabled: bool = Field(True, description="false keeps the Dag without a schedule.")
    description: Text | None = Field(None, description="Description of the Dag.")


class RegistryTrigger(Entry):
    """
    One trigger: a rule on the tags of a repository, and a receiver.

    An entry of a trigger file has the same fields, and its key is the name.

    :param name: 1 to 100 of ``a-z 0-9 _ . -``; begins with a letter or digit
    :raises ValueError: a field is not valid, or fields cannot be combined
    """

    name: str

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if not is_name(value):
            raise ValueError(invalid_name(value))
        return value

    @model_validator(mode="before")
    @classmethod
    def _check_fields(cls, values: Any) -> Any:
        given = {key: value for key, value in dict(values).items() if key in FIELDS and value is not None}
        texts = [f"{key}: {text}" for key, value in given.items() if (text := _fault(key, value))]
        if texts:
            raise ValueError("; ".join(texts))
        return {**values, **{key: checked(key, value) for key, value in given.items()}}

    @model_validator(mode="after")
    def _check_together(self) -> RegistryTrigger:
        values = self.given()
        texts = [text for _, text in cross_faults(values)]
        if not texts and (text := asset_fault(values)):
            texts.append(text)
        if self.webhook is None and self.url is None:
            texts.append(NO_RECEIVER)
        if texts:
            raise ValueError("; ".join(texts))
        return self

    def given(self) -> dict[str, Any]:
        """Return the fields with a value, defaults included."""
        return {key: value for key in FIELDS if (value := getattr(self, key)) is not None}

    @property
    def repositories(self) -> list[str]:
        """The watched repositories."""
        return self.repository if isinstance(self.repository, list) else [self.repository]

    @property
    def watched_rule(self) -> dict[str, Any]:
        """The conditions that are part of the asset, by the name of their parameter."""
        return watched_rule(self.given())

    def dag(self, *, prefix: str = PREFIX) -> DAG:
        """
        Return the Dag of the trigger.

        :param prefix: beginning of the Dag's id
        :raises ValueError: the deployment does not allow the URL
        """
        from airflow_registry_triggers.trigger_file.trigger_dag import trigger_dag

        return trigger_dag(self, prefix)


class TriggerFile(BaseModel):
    """The top level of a trigger file, for its JSON schema."""

    model_config = ConfigDict(extra="forbid")

    version: Literal[1] = Field(1, description="Version of the format.")
    defaults: dict[str, Any] = Field({}, description="Fields of each trigger that does not set them.")
    triggers: dict[Annotated[str, StringConstraints(pattern=NAME)], Entry] = Field(
        description="The triggers by name."
    )


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a trigger file (draft 2020-12)."""
    schema = TriggerFile.model_json_schema()
    entry = schema["$defs"]["Entry"]
    entry["properties"] = {name: _without_null(item) for name, item in entry["properties"].items()}
    defaults = {name: dict(entry["properties"][name]) for name in DEFAULT_FIELDS}
    for item in defaults.values():
        item.pop("default", None)
    schema["properties"]["defaults"] |= {"properties": defaults, "additionalProperties": False}
    schema["properties"]["triggers"]["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a field that is text "null" in a file, and never null."""
    kept = [item for item in schema.get("anyOf", []) if item != {"type": "null"}]
    flat = {key: value for key, value in schema.items() if key != "default" or value is not None}
    if len(kept) == 1:
        del flat["anyOf"]
        return {**kept[0], **flat}
    return flat | {"anyOf": kept} if kept else flat


def _fault(field: str, value: Any) -> str:
    try:
        checked(field, value)
    except ValueError as error:
        return str(error)
    return ""
