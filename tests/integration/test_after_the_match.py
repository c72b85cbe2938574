# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""
The example Dags of the page "After the match", each run against a receiver that records the request.

A provider, a cluster, a person or a program that is missing here has a stand-in.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tests.harness import images
from tests.harness.dag_test import run_dag
from tests.integration.test_examples import load, notification

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.harness.receiver import Received
    from tests.integration.conftest import Chain

pytestmark = pytest.mark.airflow

IMAGE = "registry.example.com/team/app@sha256:1"
TWO_IMAGES = [notification("1.2.3", "sha256:1"), notification("1.3.0", "sha256:2")]
ONE_IMAGE = notification("1.2.3", "sha256:1")


def receiver_at(chain: Chain, path: str, **extra: Any) -> dict[str, Any]:
    return {
        "conn_type": "webhook",
        "schema": "http",
        "host": "127.0.0.1",
        "port": chain.receiver.port,
        "extra": {"path": path, **extra},
    }


@pytest.fixture
def receives(chain: Chain, connect: Callable[..., None]) -> Callable[..., Received]:
    """Run an example with one notification and a Connection; return the only request."""

    def run(name: str, conn_id: str, tag: str, path: str, **extra: Any) -> Received:
        connect(conn_id, **receiver_at(chain, path, **extra))
        found = run_dag(load(name).match.dag, conf={"notification": notification(tag, "sha256:1")})
        assert set(found.states.values()) == {"success"}
        (sent,) = chain.receiver.received()
        assert sent.method == "POST"
        return sent

    return run


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **values: Any) -> None:
    """Make a module importable that is not installed."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        parent = ".".join(parts[:end])
        if parent not in sys.modules:
            module = ModuleType(parent)
            module.__path__ = []
            monkeypatch.setitem(sys.modules, parent, module)
    for key, value in values.items():
        monkeypatch.setattr(sys.modules[name], key, value, raising=False)


def test_argocd_image_updater_gets_the_default_body_and_its_query(receives: Callable[..., Received]) -> None:
    path = "/webhook?type=aliyun-acr&registry_url=registry.example.com"
    sent = receives(
        "argocd_image_updater", "argocd_image_updater", "1.2.3", path, secret_query="secret=planted"
    )
    assert sent.path == f"{path}&secret=planted"
    body = sent.json()
    assert (body["repository"]["repo_full_name"], body["push_data"]["tag"]) == ("team/app", "1.2.3")
    assert set(body) == {"push_data", "repository"}


def test_github_dispatch_gets_an_event_within_its_limits(receives: Callable[..., Received]) -> None:
    headers = {"Authorization": "Bearer planted", "Accept": "application/vnd.github+json"}
    path = "/repos/team/app/dispatches"
    sent = receives("github_dispatch", "github_dispatch", "1.2.3", path, headers=headers)
    assert (sent.path, sent.header("Authorization"), sent.header("Accept")) == (path, *headers.values())
    body = sent.json()
    assert body == {
        "event_type": "image-pushed",
        "client_payload": {"repository": "team/app", "tag": "1.2.3", "digest": "sha256:1", "image": IMAGE},
    }
    assert len(body["event_type"]) <= 100
    assert len(body["client_payload"]) <= 10


def test_flux_receiver_gets_a_post_to_its_path(receives: Callable[..., Received]) -> None:
    path = "/hook/0123456789abcdef"
    assert receives("flux_receiver", "flux_receiver", "1.2.3", path).path == path


def test_slack_message_gets_its_text(receives: Callable[..., Received]) -> None:
    sent = receives("slack_message", "slack", "latest", "/services/T0/B0/planted")
    assert sent.path == "/services/T0/B0/planted"
    assert sent.json() == {"text": "team/app:latest was pushed, sha256:1"}


def test_coolify_deploy_gets_the_token_and_the_application(receives: Callable[..., Received]) -> None:
    headers = {"Authorization": "Bearer planted"}
    sent = receives("coolify_deploy", "coolify", "latest", "/api/v1/deploy?uuid=abc", headers=headers)
    assert (sent.path, sent.header("Authorization")) == ("/api/v1/deploy?uuid=abc", "Bearer planted")


def test_jenkins_job_gets_the_tag_where_its_path_expects_it(receives: Callable[..., Received]) -> None:
    path = "/generic-webhook-trigger/invoke"
    sent = receives("jenkins_job", "jenkins", "release-v1", path, secret_query="token=planted")
    assert sent.path == f"{path}?token=planted"
    assert sent.json()["push_data"]["tag"] == "release-v1"


@pytest.mark.parametrize("tag", ["latest", "stable"])
def test_portainer_service_gets_the_tag_in_the_url(
    chain: Chain, connect: Callable[..., None], tag: str
) -> None:
    for each in ("latest", "stable"):
        connect(f"portainer_{each}", **receiver_at(chain, f"/api/webhooks/planted-{each}?tag={each}"))
    # The loop of the file leaves the Dag of its last tag: stable.
    dag = load("portainer_service").match.dag

    run = run_dag(dag, conf={"notification": notification(tag, "sha256:1")})

    assert run.states["deliver"] == ("success" if tag == "stable" else "skipped")
    sent = [item.path for item in chain.receiver.received()]
    assert sent == (["/api/webhooks/planted-stable?tag=stable"] if tag == "stable" else [])


@pytest.mark.parametrize("is_approved", [True, False])
def test_approval_then_deliver_sends_only_after_an_approval(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, is_approved: bool
) -> None:
    from airflow.providers.standard.operators import hitl

    asked: list[str] = []

    class Person(hitl.ApprovalOperator):
        """Answers at once, in place of a person."""

        def execute(self, context: Any) -> Any:
            asked.append(str(self.body))
            event = {
                "chosen_options": [self.APPROVE if is_approved else self.REJECT],
                "params_input": {},
                "responded_at": datetime.now(UTC),
                "responded_by_user": {"id": "1", "name": "person"},
                "timedout": False,
            }
            return self.execute_complete(context, event)

    monkeypatch.setattr(hitl, "ApprovalOperator", Person)

    run = run_dag(load("approval_then_deliver").match.dag, conf={"notification": ONE_IMAGE})

    deliver = "success" if is_approved else "skipped"
    assert run.states == {"match": "success", "approve": "success", "deliver": deliver}
    assert IMAGE in asked[0]
    assert len(chain.receiver.received("/hook")) == is_approved


def pod_operator(fails: bool) -> Any:
    from airflow.sdk import BaseOperator

    class Pod(BaseOperator):
        """Records the image in place of a cluster."""

        template_fields = ("image",)
        ran: ClassVar[list[str]] = []

        def __init__(self, *, image: str, name: str, cmds: list[str], **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.image, self.pod_name, self.cmds = image, name, cmds

        def execute(self, context: Any) -> None:
            self.ran.append(self.image)
            if fails:
                raise RuntimeError("the smoke test failed")

    return Pod


@pytest.mark.parametrize("fails", [False, True])
def test_smoke_test_by_digest_delivers_only_if_each_image_passes(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    pod = pod_operator(fails)
    stand_in(monkeypatch, "airflow.providers.cncf.kubernetes.operators.pod", KubernetesPodOperator=pod)
    dag = load("smoke_test_by_digest").match.dag
    dag.get_task("smoke").partial_kwargs["retries"] = 0

    run = run_dag(dag, conf={"notification": TWO_IMAGES})

    assert sorted(pod.ran) == [IMAGE, "registry.example.com/team/app@sha256:2"]
    assert run.states["deliver"] == ("upstream_failed" if fails else "success")
    assert len(chain.receiver.received("/hook")) == (0 if fails else 2)


COSIGN = """#!/bin/sh
case "$4" in
*sha256:1) exit 0 ;;
*sha256:2) echo "Error: no signatures found" >&2 ; exit 10 ;;
esac
echo "Error: connection refused" >&2
exit 1
"""


@pytest.fixture
def cosign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "cosign"
    program.write_text(COSIGN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


def test_signed_images_only_delivers_signed_images(chain: Chain, cosign: None) -> None:
    run = run_dag(load("signed_images_only").match.dag, conf={"notification": TWO_IMAGES})

    assert run.states == {"match": "success", "signed": "success", "deliver": "success"}
    assert [body["push_data"]["tag"] for body in chain.bodies()] == ["1.2.3"]


def test_signed_images_only_without_a_signed_image_skips_the_delivery(chain: Chain, cosign: None) -> None:
    run = run_dag(load("signed_images_only").match.dag, conf={"notification": TWO_IMAGES[1]})

    assert (run.states["deliver"], chain.bodies()) == ("skipped", [])


def test_signed_images_only_without_an_answer_fails_and_drops_no_push(chain: Chain, cosign: None) -> None:
    dag = load("signed_images_only").match.dag
    dag.get_task("signed").retries = 0

    run = run_dag(dag, conf={"notification": notification("1.4.0", "sha256:3")})

    assert (run.states["signed"], run.states["deliver"]) == ("failed", "upstream_failed")


def test_change_window_delivers_each_changed_tag_once_in_its_last_state(chain: Chain) -> None:
    images.put_image(chain.registry, images.Image("window-first"), "team/app", ["1.0.0"])
    push = load("change_window").push
    push.poke_interval, push.timeout = 0.2, 0.5
    assert run_dag(push.dag).states["push"] == "skipped"
    for label in ("window-second", "window-third"):
        last = images.put_image(chain.registry, images.Image(label), "team/app", ["1.0.0"])
    images.put_image(chain.registry, images.Image("window-other"), "team/app", ["1.1.0"])

    run = run_dag(push.dag)

    assert run.states["deliver"] == "success"
    sent = {body["push_data"]["tag"]: body["push_data"]["digest"] for body in chain.bodies()}
    assert (set(sent), sent["1.0.0"]) == ({"1.0.0", "1.1.0"}, last)
    assert len(chain.bodies()) == 2


def test_kubernetes_rollout_patches_the_deployment_with_the_digest(
    airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    patched: list[tuple[str, str, Any]] = []

    class Api:
        def __init__(self, client: object) -> None:
            assert client == "client of kubernetes_default"

        def patch_namespaced_deployment(self, name: str, namespace: str, body: Any) -> None:
            patched.append((name, namespace, body))

    def hook(conn_id: str) -> Any:
        return SimpleNamespace(get_conn=lambda: f"client of {conn_id}")

    stand_in(monkeypatch, "airflow.providers.cncf.kubernetes.hooks.kubernetes", KubernetesHook=hook)
    stand_in(monkeypatch, "kubernetes.client", AppsV1Api=Api)

    run = run_dag(load("kubernetes_rollout").match.dag, conf={"notification": ONE_IMAGE})

    assert run.states == {"match": "success", "roll_out[0]": "success"}
    ((name, namespace, body),) = patched
    assert (name, namespace) == ("app", "production")
    assert body["spec"]["template"]["spec"]["containers"] == [{"name": "app", "image": IMAGE}]


def test_ecs_deploy_registers_the_digest_and_updates_the_service(
    airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, dict[str, Any]]] = []

    class Ecs:
        def register_task_definition(self, **values: Any) -> Any:
            calls.append(("register", values))
            return {"taskDefinition": {"taskDefinitionArn": "arn:1"}}

        def update_service(self, **values: Any) -> None:
            calls.append(("update", values))

    stand_in(monkeypatch, "boto3", client=lambda service, region_name: Ecs())

    run = run_dag(load("ecs_deploy").match.dag, conf={"notification": ONE_IMAGE})

    assert run.xcoms["deploy[0]"]["return_value"] == "arn:1"
    assert calls[0][1]["containerDefinitions"][0]["image"] == IMAGE
    assert calls[1] == ("update", {"cluster": "production", "service": "app", "taskDefinition": "arn:1"})


def test_cloud_run_job_updates_the_job_with_the_digest(
    airflow_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow.sdk import BaseOperator

    jobs: list[Any] = []

    class Update(BaseOperator):
        template_fields = ("job",)

        def __init__(self, *, project_id: str, region: str, job_name: str, job: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.project_id, self.region, self.job_name, self.job = project_id, region, job_name, job

        def execute(self, context: Any) -> None:
            jobs.append((self.job_name, self.job))

    module = "airflow.providers.google.cloud.operators.cloud_run"
    stand_in(monkeypatch, module, CloudRunUpdateJobOperator=Update)

    run = run_dag(load("cloud_run_job").match.dag, conf={"notification": ONE_IMAGE})

    assert run.states == {"match": "success", "update[0]": "success"}
    assert jobs == [("app", {"template": {"template": {"containers": [{"image": IMAGE}]}}})]
