# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The steps of the demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo import trigger_file
from demo.deployer import HOOK, Deployer
from demo.push_mode import POLL_INTERVAL, SAFETY_POLL
from demo.report import Report, check, check_body
from tests.harness import images
from tests.harness.airflow_home import AirflowHome
from tests.harness.push_mode import SECRET

if TYPE_CHECKING:
    from tests.harness.airflow_process import Airflow
    from tests.harness.docker_registry import DockerRegistry

__all__ = ["DAG_ID", "REPOSITORY", "Chain", "connect", "make_home"]

DAG_ID = "registry_push_demo"
REPOSITORY = "team/app"
_DAG_FILES = [Path(__file__).parent / "dags" / f"{name}.py" for name in (DAG_ID, "registry_push_mode_demo")]


def make_home(folder: Path) -> AirflowHome:
    """
    Make the home of an Airflow with the Dags of the demo; it has a port before anything is started.

    :param folder: for everything
    """
    # Webhooks go to public addresses only, unless whoever runs Airflow allows others.
    home = AirflowHome(folder, settings={("registry_triggers", "allowed_networks"): "127.0.0.0/8"})
    for path in _DAG_FILES:
        home.copy_dag(path)
    trigger_file.copy_files(home)
    return home


def connect(home: AirflowHome, registry: DockerRegistry, deployer: Deployer) -> None:
    """
    Define the Connections.

    :param home: of Airflow, which is not started yet
    :param registry: Connections demo_registry, and demo_push_mode with a webhook secret
    :param deployer: Connection demo_webhook
    """
    modes = {
        "demo_registry": {"poll_interval": POLL_INTERVAL},
        "demo_push_mode": {"poll_interval": SAFETY_POLL, "webhook_secret": SECRET},
    }
    for conn_id, mode in modes.items():
        extra = {"scheme": registry.scheme, **mode}
        home.connect(
            conn_id,
            {"conn_type": "oci_registry", "host": "127.0.0.1", "port": registry.port, "extra": extra},
        )
    home.connect(
        "demo_webhook",
        {
            "conn_type": "webhook",
            "schema": "http",
            "host": "127.0.0.1",
            "port": deployer.receiver.port,
            "extra": {"path": HOOK},
        },
    )


class Chain:
    """
    Pushes images and looks at what the chain makes of each.

    :param registry: where to
    :param airflow: where the chain runs
    :param deployer: where webhooks arrive
    :param report: where to say what happens
    """

    def __init__(
        self, registry: DockerRegistry, airflow: Airflow, deployer: Deployer, report: Report
    ) -> None:
        self._registry = registry
        self._rest = airflow.rest
        self._deployer = deployer
        self._report = report

    def wait_for_dag(self) -> None:
        """Wait until the chain is parsed, and let it run."""
        self._rest.wait_for_dag(DAG_ID)
        self._rest.unpause(DAG_ID)
        self._report.step(f"Dag {DAG_ID} is parsed and unpaused")

    def triggers(self, tag: str, label: str, event: str) -> None:
        """
        Push a tag that matches, and insist on its webhook and its history.

        :param tag: the tag
        :param label: of the image
        :param event: ``new`` or ``updated``
        """
        before = self._deployer.count()
        run_id, digest = self._push_while_waiting(tag, label)
        request, pulled = self._deployer.wait_for(before + 1)
        self._report.webhook(request, pulled)
        self._check_webhook(request.body, tag, digest, pulled)
        self._end_of_run(run_id, {"push": "success", "match": "success", "deliver": "success"})
        records = self._access_log(run_id, ("match", "deliver"))
        found = [(task, r["status_code"], r["repo_event"], r["tag"], r["digest"]) for task, r in records]
        wanted = [("match", "triggered", event, tag, digest), ("deliver", "200", event, tag, digest)]
        check(found == wanted, f"access log: {found}, wanted {wanted}")
        check(self._deployer.count() == before + 1, "more webhooks arrived than images were pushed")

    def does_not_trigger(self, tag: str, label: str) -> None:
        """
        Push a tag that does not match, and insist that nothing is sent and the history says why.

        :param tag: the tag
        :param label: of the image
        """
        before = self._deployer.count()
        run_id, digest = self._push_while_waiting(tag, label)
        self._end_of_run(run_id, {"push": "success", "match": "success", "deliver": "skipped"})
        records = self._access_log(run_id, ("match",))
        found = [(task, r["status_code"], r["tag"], r["digest"]) for task, r in records]
        wanted = [("match", "untriggered", tag, digest)]
        check(found == wanted, f"access log: {found}, wanted {wanted}")
        check(records[0][1]["reason"], "the access log does not say why it did not trigger")
        check(self._deployer.count() == before, "a webhook arrived for a tag that does not match")
        self._report.step("no webhook was sent")

    def _push_while_waiting(self, tag: str, label: str) -> tuple[str, str]:
        run_id = self._rest.trigger(DAG_ID)
        self._rest.wait_for_state(DAG_ID, run_id, "push", ["deferred"])
        self._report.step("a run waits for a push, in the triggerer")
        digest = images.push(self._registry, images.Image(label), REPOSITORY, tag)
        self._report.step(f"pushed {REPOSITORY}:{tag}, {digest}")
        return run_id, digest

    def _check_webhook(self, body: bytes, tag: str, digest: str, pulled: str) -> None:
        check_body(body)
        check(f'"tag":"{tag}"'.encode() in body.replace(b" ", b""), f"the webhook does not name tag {tag}")
        check(pulled == digest, f"pulled {pulled}, but {digest} was pushed")

    def _end_of_run(self, run_id: str, wanted: dict[str, str]) -> None:
        state = self._rest.wait_for_run(DAG_ID, run_id)
        states = self._rest.states(DAG_ID, run_id)
        self._report.step(f"the run ended: {', '.join(f'{task} {state}' for task, state in states.items())}")
        check((state, states) == ("success", wanted), f"states of the tasks: {states}, wanted {wanted}")

    def _access_log(self, run_id: str, tasks: tuple[str, ...]) -> list[tuple[str, dict[str, Any]]]:
        tries = {ti["task_id"]: ti["try_number"] for ti in self._rest.task_instances(DAG_ID, run_id)}
        records = [
            (task, record)
            for task in tasks
            for number in range(1, tries[task] + 1)
            for record in self._rest.access_records(DAG_ID, run_id, task, number)
        ]
        self._report.history(records)
        return records
