# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Five planted secrets, and a receiver that echoes all it gets: none is found anywhere in a real Airflow."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.receiver import Answer, Receiver

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

IN_SECRET_QUERY = "planted+query/0123456789"
IN_URL = "planted url é 0123456789"
IN_HEADER = "planted-header-0123456789"
SIGNING = "whsec_" + base64.b64encode(b"planted-signing-secret-0123456789").decode()
REGISTRY_PASSWORD = "planted-registry-0123456789"

DAG = """
    from airflow.sdk import DAG

    from airflow_registry_triggers import RegistryPushSensor, TriggerMatchOperator, WebhookDeliverOperator

    with DAG("secrets", schedule=None):
        push = RegistryPushSensor(
            task_id="push", repository="no/such", registry_conn_id="registry", timeout=5, poke_interval=1
        )
        match = TriggerMatchOperator(
            task_id="match", notifications=[{"push_data": {"tag": "a"}, "repository": {"name": "b"}}]
        )
        WebhookDeliverOperator(
            task_id="by_connection", notifications=match.output, webhook_conn_id="hook", retries=0
        )
        WebhookDeliverOperator(
            task_id="by_variable",
            notifications=match.output,
            url="{{ var.value.hook_url }}",
            headers={"X-Api-Key": "{{ var.value.hook_key }}"},
            retries=0,
        )
        WebhookDeliverOperator(
            task_id="refused", notifications=match.output, url="{{ var.value.bad_url }}", retries=0
        )
"""


def forms(secret: str) -> set[bytes]:
    texts = {
        secret,
        quote(secret, safe=""),
        quote(secret),
        json.dumps(secret)[1:-1],
        base64.b64encode(secret.encode()).decode(),
        secret.encode("ascii", "backslashreplace").decode(),
    }
    if secret.startswith("whsec_"):
        texts |= {secret.removeprefix("whsec_"), base64.b64decode(secret.removeprefix("whsec_")).decode()}
    return {text.encode() for text in texts}


def echo(receiver: Receiver, path: str, *secrets: str) -> None:
    """Let a receiver send back the secrets that it was sent, in its headers and in its body."""
    quoted = "; ".join(
        (*(quote(secret, safe="") for secret in secrets), *(quote(secret) for secret in secrets))
    )
    plain = "; ".join(secret for secret in secrets if secret.isascii())
    decoded = base64.b64decode(SIGNING.removeprefix("whsec_")) if SIGNING in secrets else b""
    body = json.dumps({"you": secrets}).encode() + decoded + plain.removeprefix("whsec_").encode()
    receiver.script(path, Answer(500, headers={"X-Echo": f"{plain}; {quoted}"}, body=body))


def test_airflow_with_planted_secrets_stores_none_of_them(tmp_path: Path) -> None:
    with Receiver() as receiver:
        echo(receiver, "/by-connection", IN_SECRET_QUERY, IN_HEADER, SIGNING)
        echo(receiver, "/by-variable", IN_URL, IN_HEADER)
        receiver.script("/v2/no/such/tags/list", Answer(401, headers={"WWW-Authenticate": "Basic realm=x"}))
        home = AirflowHome(
            tmp_path / "airflow",
            connections={
                "registry": {
                    "conn_type": "oci_registry", "host": "127.0.0.1", "port": receiver.port, "login": "robot",
                    "password": REGISTRY_PASSWORD, "extra": {"scheme": "http"},
                },
                "hook": {
                    "conn_type": "webhook", "schema": "http", "host": "127.0.0.1", "port": receiver.port,
                    "password": SIGNING,
                    "extra": {
                        "path": "/by-connection", "secret_query": f"key={quote(IN_SECRET_QUERY, safe='')}",
                        "headers": {"Authorization": f"Bearer {IN_HEADER}"},
                    },
                },
            },
            settings={("registry_triggers", "allowed_networks"): "127.0.0.0/8"},
        )  # fmt: skip
        home.env["AIRFLOW_VAR_HOOK_URL"] = f"{receiver.url}/by-variable?key={quote(IN_URL)}"
        home.env["AIRFLOW_VAR_HOOK_KEY"] = IN_HEADER
        home.env["AIRFLOW_VAR_BAD_URL"] = f"https://127.0.0.1:8443/hook?key={quote(IN_URL)}"
        home.write_dag("secrets.py", DAG)
        with Airflow(home) as airflow:
            rest = airflow.rest
            rest.wait_for_dag("secrets")
            rest.unpause("secrets")
            run = rest.trigger("secrets")
            assert rest.wait_for_run("secrets", run) == "failed"
            seen = [json.dumps(rest.task_instances("secrets", run))]
            for task in ("push", "match", "by_connection", "by_variable", "refused"):
                seen += [
                    json.dumps(rest.xcoms("secrets", run, task)),
                    json.dumps(rest.log("secrets", run, task)),
                ]
            seen.append(json.dumps(rest.api("GET", "/dags/secrets/details")))
            statuses = {
                task: rest.access_records("secrets", run, task)[0]["status_code"]
                for task in ("by_connection", "by_variable", "refused")
            }
        received = [*receiver.received("/by-connection"), *receiver.received("/by-variable")]
        asked = receiver.received("/v2/no/such/tags/list")
    assert statuses == {"by_connection": "500", "by_variable": "500", "refused": "blocked"}
    assert len(received) == 2, "what is not sent cannot leak"
    assert any(item.header("Authorization") for item in asked)
    assert any(quote(IN_SECRET_QUERY, safe="") in item.path for item in received)
    assert any(item.header("webhook-signature") for item in received)

    # All that Airflow keeps: metadata database, task logs, logs of the components; and what its API gave.
    files = [path for path in home.folder.rglob("*") if path.is_file()]
    kept = {str(path.relative_to(home.folder)): path.read_bytes() for path in files}
    assert any(name.endswith(".db") for name in kept)
    kept |= {f"answer {number} of the API": text.encode() for number, text in enumerate(seen)}
    secrets = {
        form
        for secret in (IN_SECRET_QUERY, IN_URL, IN_HEADER, SIGNING, REGISTRY_PASSWORD)
        for form in forms(secret)
    }
    assert [(name, form) for name, content in kept.items() for form in secrets if form in content] == []
