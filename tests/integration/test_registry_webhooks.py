# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The endpoint in a real api-server with two workers, on PostgreSQL: answers, secrets, parallel webhooks."""

from __future__ import annotations

import json
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import create_engine, text

from airflow_registry_triggers.common.state_store import STATE_ASSET
from tests.harness.airflow_home import AirflowHome
from tests.harness.airflow_process import Airflow
from tests.harness.plain_http import Response, request
from tests.harness.postgres import Postgres
from tests.harness.processes import wait_until
from tests.harness.push_mode import SECRET, distribution_body, send_webhook

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.airflow, pytest.mark.timeout(600)]

PREVIOUS = "planted-secret-of-the-year-before"
UNPROVEN = "planted-secret-of-somebody-else"
API_SERVER = "api-server --workers 2"
PUSH = distribution_body("team/app", "v1")


def registry(**extra: Any) -> dict[str, Any]:
    return {"conn_type": "oci_registry", "host": "registry.example.com", "extra": extra}


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


@pytest.fixture(scope="module")
def airflow(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = AirflowHome(
        tmp_path_factory.mktemp("airflow"),
        database=postgres.url,
        connections={
            "registry_default": registry(webhook_secret=SECRET, previous_webhook_secret=PREVIOUS, webhook_rate=100_000),
            "slow": registry(webhook_secret=SECRET, webhook_rate=1),
            "off": registry(),
            "short": registry(webhook_secret="fifteen-letters"),
            "docker": {"conn_type": "docker", "host": "r.example.com", "extra": {"webhook_secret": SECRET}},
        },
    )  # fmt: skip
    with Airflow(home, [API_SERVER]) as running:
        yield running


def execute(postgres: Postgres, *statements: str, **values: Any) -> Any:
    engine = create_engine(postgres.url)
    try:
        with engine.begin() as connection:
            results = [connection.execute(text(statement), values) for statement in statements]
            return results[-1].scalar() if results[-1].returns_rows else None
    finally:
        engine.dispose()


@pytest.fixture
def state_asset(postgres: Postgres) -> None:
    """The row of the shared state asset, as the Dag processor stores it for the first task of this package."""
    values = {"name": STATE_ASSET.name, "uri": str(STATE_ASSET.uri)}
    execute(
        postgres,
        'INSERT INTO asset (name, uri, "group", extra, created_at, updated_at) '
        "SELECT :name, :uri, 'registry-internal', '{}', now(), now() "
        "WHERE NOT EXISTS (SELECT 1 FROM asset WHERE name = :name)",
        "INSERT INTO asset_active (name, uri) VALUES (:name, :uri) ON CONFLICT DO NOTHING",
        **values,
    )


def hints(postgres: Postgres) -> dict[str, dict[str, int]]:
    value = execute(postgres, "SELECT value FROM asset_state_store WHERE key = 'hints/webhooks'")
    stored: dict[str, dict[str, int]] = json.loads(value)["hints"] if value else {}
    return stored


def send(airflow: Airflow, path: str, method: str = "POST", body: bytes = PUSH, **headers: str) -> Response:
    return request(method, f"{airflow.home.url}/registry-webhooks/{path}", body=body, headers=headers)


def test_endpoint_before_any_task_of_the_package_answers_503(airflow: Airflow, postgres: Postgres) -> None:
    execute(postgres, "DELETE FROM asset_active")
    answer = send_webhook(airflow.home.url, PUSH)
    assert (answer.status, answer.headers["retry-after"], answer.body) == (503, "30", b"not available")


def test_endpoint_of_a_real_api_server_gives_each_answer(
    airflow: Airflow, postgres: Postgres, state_asset: None
) -> None:
    bearer = {"Authorization": f"Bearer {SECRET}"}
    cases: list[tuple[int, Response]] = [
        (202, send(airflow, "registry_default", **bearer)),
        (202, send(airflow, "registry_default/", **bearer)),
        (202, send(airflow, "registry_default", Authorization=PREVIOUS)),
        (202, send(airflow, f"registry_default?token={SECRET}")),
        (202, send(airflow, "registry_default", body=b'{"events": []}', **bearer)),
        (401, send(airflow, "registry_default")),
        (401, send(airflow, f"registry_default?token={UNPROVEN}", Authorization=f"Bearer {UNPROVEN}")),
        (404, send(airflow, "nobody", **bearer)),
        (404, send(airflow, "off", **bearer)),
        (404, send(airflow, "docker", **bearer)),
        (404, send(airflow, "a%2Fb", **bearer)),
        (405, send(airflow, "registry_default", "GET", b"", **bearer)),
        (405, send(airflow, "registry_default", "PUT", **bearer)),
        (413, send(airflow, "registry_default", body=b" " * (1024 * 1024 + 1), **bearer)),
        (422, send(airflow, "registry_default", body=b'{"hello": 1}', **bearer)),
        (202, send(airflow, "slow", **bearer)),
        (503, send(airflow, "short", Authorization="fifteen-letters")),
    ]
    assert [answer.status for _, answer in cases] == [status for status, _ in cases]
    # Each worker has a limit of its own.
    assert 429 in [send(airflow, "slow", **bearer).status for _ in range(8)]
    origin = send(
        airflow,
        "registry_default",
        "OPTIONS",
        b"",
        **bearer,
        **{"WebHook-Request-Origin": "eventgrid.azure.net"},
    )
    assert (origin.status, origin.headers["webhook-allowed-origin"]) == (200, "eventgrid.azure.net")
    assert set(hints(postgres)) == {"registry_default|team/app", "slow|team/app"}


def test_endpoint_with_a_slow_unproven_body_answers_at_once(airflow: Airflow) -> None:
    with socket.create_connection(("127.0.0.1", airflow.home.port), timeout=10) as connection:
        connection.sendall(
            b"POST /registry-webhooks/registry_default HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n{"
        )
        began = time.monotonic()
        assert connection.recv(1000).startswith(b"HTTP/1.1 401")
        assert time.monotonic() - began < 5


def test_endpoint_with_100_parallel_webhooks_on_two_workers_keeps_all_hints(
    airflow: Airflow, postgres: Postgres, state_asset: None
) -> None:
    wanted = {(f"parallel/app{number % 4}", f"v{number}") for number in range(100)}
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda item: send_webhook(airflow.home.url, distribution_body(*item)).status, wanted)
        )
    assert set(answers) == {202}
    stored = {
        (key.partition("|")[2], tag)
        for key, tags in hints(postgres).items()
        if "parallel" in key
        for tag in tags
    }
    assert stored == wanted


def test_endpoint_without_database_answers_503_and_recovers(
    airflow: Airflow, postgres: Postgres, state_asset: None
) -> None:
    assert send_webhook(airflow.home.url, PUSH).status == 202
    postgres.stop()
    try:
        assert send_webhook(airflow.home.url, PUSH).status == 503
        assert send_webhook(airflow.home.url, PUSH, conn_id="never_seen").status == 503
    finally:
        postgres.start()
    wait_until(lambda: send_webhook(airflow.home.url, PUSH).status == 202, 120, "the endpoint to recover")


def test_endpoint_after_all_of_this_has_no_secret_in_its_log(airflow: Airflow) -> None:
    log = airflow.processes[API_SERVER].log.read_text(errors="replace")
    # Airflow masks the query parameter "token" in its HTTP log.
    for secret in (SECRET, PREVIOUS, UNPROVEN, "fifteen-letters"):
        assert secret not in log
    assert "field webhook_secret" in log
    assert len(re.findall(r"without a valid proof are rejected", log)) <= 2, "one for each worker"
