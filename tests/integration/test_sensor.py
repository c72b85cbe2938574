# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What the sensor does with a registry that will not answer, and with state it has."""

from __future__ import annotations

import time

import pytest
import trustme
from airflow.sdk import DAG

from airflow_registry_triggers import RegistryPushSensor
from airflow_registry_triggers.hooks.registry import RegistryHook
from tests.harness import images
from tests.harness.dag_test import run_dag
from tests.harness.docker_registry import DockerRegistry
from tests.harness.processes import free_port
from tests.harness.receiver import Answer
from tests.integration.test_chain import MODES, new_dag, seeded, sensor

pytestmark = pytest.mark.airflow


def failure(run, task="push"):
    return "\n".join(str(line.get("exception", "")) for line in run.log(task))


def one_sensor(chain, **options):
    with new_dag() as dag:
        sensor(chain, **{"soft_fail": False, "retries": 2, "timeout": 30, **options})
    return dag


@pytest.fixture
def to(connect):
    def define(port, extra=None, **values):
        connect("registry_default", conn_type="oci_registry", host="127.0.0.1", port=port, extra={"scheme": "http", **(extra or {})}, **values)  # fmt: skip

    return define


@pytest.mark.parametrize("mode", MODES)
def test_sensor_of_a_missing_repository_fails(chain, mode):
    run = run_dag(one_sensor(chain, repository="no/such", **MODES[mode]))
    assert run.states == {"push": "failed"}
    text = failure(run)
    assert "no_such_repository" in text
    assert "'registry_default'" in text
    assert f"http://127.0.0.1:{chain.registry.port}" in text


@pytest.mark.parametrize(("login", "password"), [("robot", "wrong-password"), (None, None)])
def test_sensor_with_a_wrong_password_fails(chain, to, tmp_path, login, password):
    with DockerRegistry(tmp_path, protected=True) as protected:
        to(protected.port, login=login, password=password)
        run = run_dag(one_sensor(chain))
    assert run.states == {"push": "failed"}
    assert "credentials" in failure(run)
    assert "wrong-password" not in repr(run.lines)


def test_sensor_with_a_right_password_succeeds(chain, to, tmp_path):
    with DockerRegistry(tmp_path, protected=True) as protected:
        images.put_image(protected, images.Image("x"), chain.repository, ["a"])
        user, password = protected.credentials
        to(protected.port, login=user, password=password)
        run = run_dag(one_sensor(chain, first_run="notify"))
        assert RegistryHook().test_connection() == (
            True,
            f"signed in as {user}: 127.0.0.1:{protected.port} answers as a container registry",
        )
    assert run.states == {"push": "success"}
    assert password not in repr(run.lines)


def test_sensor_of_a_host_that_is_not_a_registry_fails(chain, to):
    page = Answer(404, headers={"Content-Type": "text/html"}, body=b"<html>not here</html>")
    for path in (f"/v2/{chain.repository}/tags/list", "/v2/"):
        chain.receiver.script(path, page)
    to(chain.receiver.port)
    run = run_dag(one_sensor(chain))
    assert run.states == {"push": "failed"}
    assert "not_a_registry" in failure(run)


def test_sensor_with_an_untrusted_certificate_needs_a_ca_file(chain, to, tmp_path):
    ca = trustme.CA()
    with DockerRegistry(tmp_path, ca=ca) as secure:
        images.put_image(secure, images.Image("x"), chain.repository, ["a"])
        to(secure.port, {"scheme": "https"})
        run = run_dag(one_sensor(chain))
        assert run.states == {"push": "failed"}
        assert ", tls: " in failure(run)
        assert RegistryHook().test_connection()[1].startswith("tls: ")
        to(secure.port, {"scheme": "https", "ca_file": str(secure.folder / "ca.pem")})
        assert run_dag(one_sensor(chain, first_run="notify")).states == {"push": "success"}


def test_sensor_without_a_valid_connection_fails(chain, connect):
    run = run_dag(one_sensor(chain, registry_conn_id="nowhere", retries=0))
    assert run.states == {"push": "failed"}
    run = run_dag(one_sensor(chain, repository="ghcr.io/team/app"))
    assert run.states == {"push": "failed"}
    assert "is for 127.0.0.1" in failure(run)


def test_sensor_of_a_registry_that_is_down_waits_until_its_timeout(chain, to):
    to(free_port())
    began = time.monotonic()
    run = run_dag(one_sensor(chain, timeout=2, poke_interval=0.5))
    assert run.states == {"push": "failed"}
    assert "AirflowSensorTimeout" in failure(run)
    assert time.monotonic() - began >= 2
    assert any("unavailable" in str(line["event"]) for line in run.log("push"))
    assert run_dag(one_sensor(chain, timeout=1, poke_interval=0.5, soft_fail=True)).states == {
        "push": "skipped"
    }


def test_sensor_with_soft_fail_fails_on_errors_and_with_never_fail_skips(chain):
    for mode in MODES.values():
        hidden = run_dag(one_sensor(chain, repository="no/such", soft_fail=True, **mode))
        assert hidden.states == {"push": "failed"}, "what a person must mend is no wait that was in vain"
        assert "no_such_repository" in failure(hidden)
        assert run_dag(one_sensor(chain, repository="no/such", never_fail=True, **mode)).states == {
            "push": "skipped"
        }


def test_sensor_over_the_storm_limit_fails_and_loses_nothing(chain, to):
    to(chain.registry.port, {"storm_limit": 3})
    dag = one_sensor(chain, soft_fail=True, timeout=1)
    seeded(chain, dag)
    chain.push("a", "b", "c", "d")
    run = run_dag(dag)
    assert run.states == {"push": "failed"}
    assert "set storm_limit to 4 or more" in failure(run)
    to(chain.registry.port, {"storm_limit": 4})
    run = run_dag(dag)
    assert {item["push_data"]["tag"] for item in run.xcoms["push"]["return_value"]} == {"a", "b", "c", "d"}


def test_sensor_takes_facts_and_time_zone_from_the_connection(chain, to):
    to(
        chain.registry.port,
        {"region": "cn-hangzhou", "repo_type": "PUBLIC", "timezone": "Pacific/Kiritimati"},
    )
    chain.push("a")
    run = run_dag(one_sensor(chain, first_run="notify"))
    (found,) = run.xcoms["push"]["return_value"]
    assert (found["repository"]["region"], found["repository"]["repo_type"]) == ("cn-hangzhou", "PUBLIC")
    detected, pushed = found["event"]["detected_at"], found["push_data"]["pushed_at"]
    assert detected[:13].replace("T", " ") != pushed[:13], "14 hours apart"


def test_sensor_with_named_tags_requests_these_only(chain):
    with new_dag() as dag:
        sensor(chain, tags=["a", "b"])
    chain.push("a", *[f"t{n}" for n in range(20)])
    run_dag(dag)
    chain.registry.forget_requests()
    run_dag(dag)
    paths = [line.path for line in chain.registry.requests()]
    polls = {path: paths.count(path) for path in paths}
    assert set(polls) == {f"/v2/{chain.repository}/manifests/{tag}" for tag in ("a", "b")}
    assert len(set(polls.values())) == 1


def test_sensor_without_changes_sends_11_requests_for_10_tags(chain):
    chain.push(*[f"t{n}" for n in range(10)])
    with new_dag() as dag:
        sensor(chain, timeout=0)
    run_dag(dag)
    chain.registry.forget_requests()
    run_dag(dag)
    assert len(chain.registry.requests()) == 11


def test_mapped_sensor_keeps_repositories_apart(chain):
    other = f"{chain.repository}-other"
    images.put_image(chain.registry, images.Image("o"), other, ["o1"])
    chain.push("c1")
    with new_dag() as dag:
        RegistryPushSensor.partial(
            task_id="push", poke_interval=0.3, timeout=1, soft_fail=True, retries=0
        ).expand(repository=[chain.repository, other])
    assert run_dag(dag).states == {"push[0]": "skipped", "push[1]": "skipped"}
    images.put_image(chain.registry, images.Image("o2"), other, ["o2"])
    run = run_dag(dag)
    assert run.states == {"push[0]": "skipped", "push[1]": "success"}
    assert [item["push_data"]["tag"] for item in run.xcoms["push[1]"]["return_value"]] == ["o2"]


def test_sensor_with_a_changed_rule_records_a_baseline(chain):
    dag_id = new_dag().dag_id

    def with_rule(**rule):
        with DAG(dag_id, schedule=None) as dag:
            sensor(chain, timeout=1, **rule)
        return dag

    chain.push("a1", "b1")
    run_dag(with_rule(tag_regex="a.*"))
    chain.push("b2")
    chain.push("a2")
    run = run_dag(with_rule())
    assert [item["push_data"]["tag"] for item in run.xcoms["push"]["return_value"]] == ["a2"]
