# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The provider info that Airflow discovers."""

from __future__ import annotations

from typing import Any

__all__ = ["get_provider_info"]

NAME = "Container Registry Triggers"
PACKAGE = "airflow_registry_triggers"


def _field(label: str, description: str, kind: str = "string", **schema: Any) -> dict[str, Any]:
    return {"label": label, "description": description, "schema": {"type": [kind, "null"], **schema}}


# In the order of the form: the fields that a new Connection needs first, facts for the notification last.
_REGISTRY_FIELDS = {
    "scheme": _field("Scheme", "https, or http for a registry without TLS.", enum=["https", "http"]),
    "ca_file": _field("CA file", "Path on the workers and triggerers of a PEM file to trust instead."),
    "poll_interval": _field("Poll interval", "Seconds between two polls of a watcher. Default 60.", "number"),
    "first_run": _field(
        "First run of a watcher",
        "baseline records the current tags; notify sends a notification for each. Default baseline.",
        enum=["baseline", "notify"],
    ),
    "updates": _field(
        "What counts as a push",
        "A moved tag is a known tag with another digest.",
        enum=["true", "false"],
        values_display={"true": "new and moved tags (default)", "false": "new tags only"},
    ),
    "referrers": _field("Referrers", "Watch tags of signatures and attestations too.", "boolean"),
    "max_in_flight": _field(
        "Requests in flight", "Default 10 for a registry on a private address, else 2.", "integer"
    ),
    "storm_limit": _field(
        "Storm limit", "Maximum number of notifications of one poll. Default 500.", "integer"
    ),
    "timezone": _field("Time zone", "Time zone of pushed_at, such as Europe/Berlin. Default UTC."),
    "credentials_conn_id": _field(
        "Cloud Connection",
        "Id of the aws, google_cloud_platform, azure or alibaba_cloud Connection that issues the login.",
    ),
    "alibaba_instance_id": _field(
        "Alibaba instance", "Id cri-... of an Enterprise instance; without it the personal edition is used."
    ),
    "docker_config": _field(
        "Docker configuration",
        "Path on the workers and triggerers of a config.json with a login.",
    ),
    "proxy": _field(
        "Proxy",
        "URL of an HTTP proxy, such as http://proxy:3128. Default: HTTPS_PROXY, HTTP_PROXY and NO_PROXY.",
        format="password",
    ),
    "api": _field(
        "API",
        "The registry's own API, which lists tags with their digests, so that a poll needs few requests. "
        "Default auto: chosen by the host; name the API of a self-hosted registry.",
        enum=["auto", "oci", "azure", "docker_hub", "ecr", "quay", "harbor"],
    ),
    "api_token": _field(
        "API token", "OAuth token of Quay for the API of private repositories.", format="password"
    ),
    "recheck_interval": _field(
        "Recheck interval",
        "Seconds in which a watcher requests each known tag at least once. Default 0: in every poll.",
        "number",
    ),
    "confirm_polls": _field(
        "Confirm polls",
        "Polls in a row that must find a digest before it counts, for replicas that disagree. Default 1.",
        "integer",
    ),
    "flap_limit": _field(
        "Flap limit",
        "Pushes of one tag within an hour, after which only its latest digest is sent, at most every 5 "
        "minutes. Default 10; 0 for no limit.",
        "integer",
    ),
    "webhook_secret": _field(
        "Webhook secret",
        "Push mode: secret that the registry's own webhooks prove to know; at least 16 characters.",
        format="password",
    ),
    "previous_webhook_secret": _field(
        "Previous webhook secret", "Accepted beside the current one while you rotate.", format="password"
    ),
    "webhook_rate": _field(
        "Webhook rate", "Proven webhooks per minute and api-server process. Default 600.", "integer"
    ),
    "queue_hints": _field(
        "Queue hints", "Whether RegistryHintOperator may start polls. Default false.", "boolean"
    ),
    "region": _field("Notification: region", "Copied into each notification."),
    "date_created": _field("Notification: created", "Copied into each notification: YYYY-MM-DD HH:MM:SS."),
    "repo_type": _field("Notification: repository type", "Copied into each notification: PUBLIC or PRIVATE."),
    "repo_authentication_type": _field(
        "Notification: authentication type", "Copied into each notification. Default NO_CERTIFIED."
    ),
    "repo_origin_type": _field(
        "Notification: origin type", "Copied into each notification. Default NO_CERTIFIED."
    ),
}

_WEBHOOK_FIELDS = {
    "path": _field("Path", "Path of the URL, with the part of the query that is not secret."),
    "secret_query": _field("Secret query", "Appended to the query when sending.", format="password"),
    "headers": _field("Headers", 'JSON object, such as {"X-Team": "app"}.'),
    "previous_signing_secret": _field(
        "Previous signing secret", "Signs beside the current one while you rotate.", format="password"
    ),
    "ca_file": _field("CA file", "Path on the workers of a PEM file to trust instead."),
}

_ALLOWED_NETWORKS = {
    "description": (
        "Networks in CIDR form, separated by commas, that webhooks may reach though they are not public. "
        "Set by whoever runs the deployment; no Dag can change it."
    ),
    "version_added": "0.1.0",
    "type": "string",
    "example": "10.20.0.0/16, fd00:1234::/32",
    "default": "",
}

_WEBHOOK_PROXY = {
    "description": (
        "URL of the HTTP proxy through which webhooks are sent. The proxy resolves the names of receivers, "
        "so it must block private addresses itself. Proxy settings of the environment are not used."
    ),
    "version_added": "0.1.0",
    "type": "string",
    "sensitive": True,
    "example": "http://proxy.example.com:3128",
    "default": "",
}

_CREDENTIAL_HELPERS = {
    "description": (
        "Names of Docker credential helpers, separated by commas, that a docker_config may start, such as "
        "ecr-login for the program docker-credential-ecr-login. Without it no helper is started."
    ),
    "version_added": "0.1.0",
    "type": "string",
    "example": "ecr-login, gcr",
    "default": "",
}

_REGISTRY_WEBHOOKS = {
    "description": (
        "Whether the api-server takes registries' own webhooks (push mode) at /registry-webhooks. Without "
        "it, watchers only poll."
    ),
    "version_added": "0.1.0",
    "type": "boolean",
    "example": None,
    "default": "True",
}


def get_provider_info() -> dict[str, Any]:
    """Return the provider info, in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-registry-triggers",
        "name": NAME,
        "description": "Detect image pushes, filter them by tag, deliver webhooks.",
        "integrations": [
            {
                "integration-name": NAME,
                "external-doc-url": "https://github.com/opencontainers/distribution-spec",
                "tags": ["service"],
            }
        ],
        "sensors": [_modules("sensors.registry_push")],
        "operators": [
            _modules("operators.registry_hint", "operators.trigger_match", "operators.webhook_deliver")
        ],
        "hooks": [_modules("hooks.registry", "hooks.webhook")],
        "triggers": [_modules("triggers.registry_push")],
        "notifications": [f"{PACKAGE}.notifications.webhook.WebhookNotifier"],
        "extra-links": [f"{PACKAGE}.links.access_log.AccessLogLink"],
        "cli": [f"{PACKAGE}.cli.get_cli_commands"],
        "asset-uris": [
            {
                "schemes": ["oci"],
                "handler": f"{PACKAGE}.assets.oci.sanitize_uri",
                "factory": f"{PACKAGE}.assets.oci.create_asset",
                "to_openlineage_converter": f"{PACKAGE}.assets.oci.convert_asset_to_openlineage",
            }
        ],
        "connection-types": [
            {
                "connection-type": "oci_registry",
                "hook-class-name": f"{PACKAGE}.hooks.registry.RegistryHook",
                "hook-name": "Container Registry (OCI)",
                "ui-field-behaviour": {
                    "hidden-fields": ["schema"],
                    "relabeling": {"password": "Password or token"},
                    "placeholders": {
                        "host": "registry.example.com or http://localhost:5000",
                        "port": "443, or 80 for http",
                        "login": "leave empty if anonymous",
                    },
                },
                "conn-fields": _REGISTRY_FIELDS,
            },
            {
                "connection-type": "webhook",
                "hook-class-name": f"{PACKAGE}.hooks.webhook.WebhookHook",
                "hook-name": "Webhook",
                "ui-field-behaviour": {
                    "hidden-fields": ["login"],
                    "relabeling": {"password": "Signing secret (optional)"},
                    "placeholders": {
                        "host": "https://hooks.example.com/path (a whole URL) or a host",
                        "port": "443, or 80 for http",
                        "schema": "https",
                        "password": "whsec_...",
                    },
                },
                "conn-fields": _WEBHOOK_FIELDS,
            },
        ],
        "config": {
            "registry_triggers": {
                "description": "Container registry triggers.",
                "options": {
                    "allowed_networks": _ALLOWED_NETWORKS,
                    "credential_helpers": _CREDENTIAL_HELPERS,
                    "registry_webhooks": _REGISTRY_WEBHOOKS,
                    "webhook_proxy": _WEBHOOK_PROXY,
                },
            }
        },
    }


def _modules(*names: str) -> dict[str, Any]:
    return {"integration-name": NAME, "python-modules": [f"{PACKAGE}.{name}" for name in names]}
