# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The sensor without a running Airflow: arguments, soft_fail, and polls from process to process."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import (
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferralError,
    TaskDeferred,
)

from airflow_registry_triggers.common.state_store import STATE_ASSET
from airflow_registry_triggers.exceptions import InvalidArgument, RegistryFault, TooManyToMap
from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.sensors.registry_push import RegistryPushSensor
from airflow_registry_triggers.triggers import registry_push as trigger_module
from tests.unit.registry.scripted_registry import ScriptedRegistry


class Store(dict):
    """A state store of Airflow, in memory."""

    def set(self, key, value):
        self[key] = json.loads(json.dumps(value))

    def delete(self, key):
        self.pop(key, None)

    async def aget(self, key, default=None):
        return self.get(key, default)


class Scene:
    """A registry, a Connection to it, and the stores of one task."""

    def __init__(self, registry, loop):
        self.registry, self.loop, self.extra = registry, loop, {}
        self.shared, self.task = Store(), Store()
        self.mapped_over = False

    def connection(self, conn_id):
        return Connection(conn_id=conn_id, conn_type="oci_registry", host=self.registry.url, extra=json.dumps(self.extra))  # fmt: skip

    async def aconnection(self, conn_id):
        return self.connection(conn_id)

    def sensor(self, **options):
        return RegistryPushSensor(task_id="push", repository="team/app", **{"timeout": 60, **options})

    def context(self):
        dependants = [object()] if self.mapped_over else []
        return {
            "ti": SimpleNamespace(dag_id="dag", task_id="push", map_index=-1),
            "task": SimpleNamespace(task_id="push", iter_mapped_dependants=lambda: iter(dependants)),
            "dag_run": SimpleNamespace(conf={}),
            "run_id": "run",
            "asset_state_store": {STATE_ASSET: self.shared},
            "task_state_store": self.task,
        }

    def push(self, **tags):
        self.registry.put("team/app", tags)

    def tags(self, sensor=None):
        """Poke once, as a new process does it unless a sensor is given."""
        found = (sensor or self.sensor()).poke(self.context()).xcom_value
        return [item["push_data"]["tag"] for item in found or []]


@pytest.fixture
def scene(monkeypatch):
    """Serve in a thread of its own: a poke runs an event loop itself."""
    import asyncio

    started, stop = threading.Event(), None
    registry = ScriptedRegistry()

    async def serve():
        nonlocal stop
        stop = asyncio.Event()
        async with registry.served():
            started.set()
            await stop.wait()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(60)
    scene = Scene(registry, loop)
    scene.push(v1="one")
    monkeypatch.setattr(RegistryHook, "get_connection", staticmethod(scene.connection))
    monkeypatch.setattr(RegistryHook, "aget_connection", staticmethod(scene.aconnection))
    monkeypatch.setattr(trigger_module, "shared_state", lambda: scene.shared)
    yield scene
    loop.call_soon_threadsafe(stop.set)
    thread.join(60)
    loop.close()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"repository": "Team/App"}, "not a valid name"),
        ({"tags": []}, "tags"),
        ({"tag_regex": "["}, "tag_regex"),
        ({"semver": "~>1"}, "semver='~>1': '~>1' is not a comparison"),
        ({"exclude_regex": ".*"}, "excludes every tag that the rule matches"),
        ({"newest": "latest"}, "newest='latest' is not one of version, number, text."),
        ({"newest": "latest", "semver": "{{ params.range }}"}, "newest='latest' is not one of"),
        ({"newest": "text", "tags": ["a"]}, "newest cannot be combined with tags"),
        (
            {"semver": "1", "tags": ["a"]},
            "tags=['a'] and semver='1': tags cannot be combined with another condition",
        ),
        ({"first_run": "all"}, "first_run='all' is not valid. Use 'baseline' or 'notify'"),
    ],
)
def test_sensor_with_an_invalid_literal_argument_raises_while_parsing(arguments, words):
    given = {"task_id": "push", "repository": "team/app", **arguments}
    with pytest.raises(ValueError) as error:
        RegistryPushSensor(**given)
    assert words in str(error.value)
    with pytest.raises(ValueError):
        RegistryPushSensor.partial(**given)


def test_sensor_without_deferrable_follows_the_default_of_airflow():
    import inspect

    assert inspect.signature(RegistryPushSensor).parameters["deferrable"].default is False


@pytest.mark.parametrize("soft_fail", [True, False])
def test_resume_after_a_crash_of_the_airflow_trigger_fails_the_task(soft_fail):
    sensor = RegistryPushSensor(task_id="push", repository="team/app", soft_fail=soft_fail)
    with pytest.raises(TaskDeferralError):
        sensor.resume_execution("__fail__", {"error": "Trigger failure", "traceback": ["deleted"]}, {})


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        ({"soft_fail": True}, AirflowSkipException),
        ({"never_fail": True}, AirflowSkipException),
        ({}, AirflowSensorTimeout),
    ],
)
def test_resume_after_a_timeout_is_a_skip_with_soft_fail(flags, error):
    sensor = RegistryPushSensor(task_id="push", repository="team/app", **flags)
    with pytest.raises(error):
        sensor.resume_execution("__fail__", {"error": "Trigger timeout"}, {})


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(
    ("raised", "is_skipped"),
    [
        (RegistryFault("wrong password"), False),
        (InvalidArgument("no such Connection"), False),
        (RuntimeError("anything else"), False),
        (AirflowTaskTimeout("execution_timeout"), True),
    ],
)
def test_execute_with_soft_fail_skips_on_timeouts_only(monkeypatch, raised, is_skipped, deferrable):
    sensor = RegistryPushSensor(task_id="push", repository="team/app", soft_fail=True, deferrable=deferrable)

    def find(context):
        raise raised

    monkeypatch.setattr(sensor, "_find", find)
    with pytest.raises(AirflowSkipException if is_skipped else type(raised)):
        sensor.execute({})


def test_sensor_with_a_rule_returns_matching_versions_only(scene):
    rule = {"semver": ">=1.2 <2", "exclude_regex": ".*-debug"}
    assert scene.tags(scene.sensor(**rule)) == []
    scene.push(**dict.fromkeys(("1.2.0", "1.1.0", "1.3.0-rc.1", "latest", "v1.9.0", "2.0.0"), "one"))
    assert scene.tags(scene.sensor(**rule)) == ["1.2.0", "v1.9.0"]


def test_sensor_with_newest_returns_the_greatest_tag_over_its_runs(scene):
    found = []
    for tags in (["1.0.0"], ["1.0.1", "1.2.0"], ["1.1.0"], ["1.10.0", "1.9.0"]):
        scene.task.clear()
        scene.push(**dict.fromkeys(tags, "one"))
        found.append(scene.tags(scene.sensor(newest="version")))
    assert found == [[], ["1.2.0"], [], ["1.10.0"]]


def test_deferred_sensor_with_newest_returns_the_greatest_tag(scene):
    import asyncio

    options = {
        "deferrable": True,
        "poke_interval": 0.01,
        "newest": "number",
        "tag_regex": r"build-(?P<order>\d+)",
    }
    scene.push(**{"build-9": "one"})
    with pytest.raises(TaskDeferred) as deferred:
        scene.sensor(**options).execute(scene.context())
    _path, arguments = deferred.value.trigger.serialize()
    assert (arguments["newest"], "semver" in arguments) == ("number", False)
    scene.push(**{"build-10": "two", "build-8": "two"})

    async def fire():
        return await anext(deferred.value.trigger.run())

    asyncio.run(asyncio.wait_for(fire(), 60))
    found = scene.sensor(**options).execute_complete(scene.context(), {})
    assert [item["push_data"]["tag"] for item in found] == ["build-10"]


def test_sensor_with_a_rendered_rule_that_is_invalid_fails_and_names_it(scene):
    sensor = scene.sensor(semver="{{ params.range }}")
    sensor.semver = "1.x.3"
    with pytest.raises(InvalidArgument, match="semver='1.x.3': a number follows x"):
        scene.tags(sensor)


# Taken before `semver`, `exclude_regex` and `newest` existed. Another key would start a new baseline.
@pytest.mark.parametrize(
    ("rule", "map_index", "prefix"),
    [
        ({}, -1, "watermark/18e6e7514974c416958aa54d693c3a4c/"),
        ({"tag_regex": "v.*"}, -1, "watermark/18e6e7514974c416958aa54d693c3a4c/"),
        ({"semver": "1.x", "newest": "text"}, -1, "watermark/18e6e7514974c416958aa54d693c3a4c/"),
        ({}, 0, "watermark/33dc6b7f53afaf89a28aecbe4df37f1d/"),
        ({"tags": ["a", "b"]}, 0, "watermark/8c950665ebcd29ee81795c29c2ff4ec2/"),
        ({"tag_regex": "v.*"}, 0, "watermark/0c2ef9fa336e40f3723558d3ce22332e/"),
    ],
)
def test_state_of_a_sensor_without_new_conditions_has_the_same_keys_as_before(scene, rule, map_index, prefix):
    context = scene.context()
    context["ti"].map_index = map_index
    sensor = scene.sensor(**rule)
    target = SimpleNamespace(registry="registry.example.com", repository="team/app")
    assert sensor._prefix(context, target) == prefix


def test_state_of_mapped_sensors_with_other_conditions_has_keys_of_its_own(scene):
    context = scene.context()
    context["ti"].map_index = 0
    target = SimpleNamespace(registry="registry.example.com", repository="team/app")
    rules = [{}, {"semver": "1.x"}, {"exclude_regex": "1.x"}, {"newest": "text"}, {"tag_regex": "1.x"}]
    assert len({scene.sensor(**rule)._prefix(context, target) for rule in rules}) == len(rules)


def test_sensor_with_confirm_polls_counts_over_its_processes(scene):
    scene.extra = {"confirm_polls": 3}
    assert scene.tags() == []
    scene.push(v1="two")
    assert [scene.tags() for _ in range(3)] == [[], [], ["v1"]]
    scene.task.clear()
    assert scene.tags() == []


def test_sensor_with_confirm_polls_ignores_replicas_that_alternate(scene):
    scene.extra = {"confirm_polls": 2}
    sensor = scene.sensor()
    scene.tags(sensor)
    for label in ("two", "one") * 4:
        scene.push(v1=label)
        assert scene.tags(sensor) == []


def test_deferred_sensor_with_confirm_polls_takes_the_count_of_the_airflow_trigger(scene):
    import asyncio

    scene.extra = {"confirm_polls": 2}
    with pytest.raises(TaskDeferred) as deferred:
        scene.sensor(deferrable=True, poke_interval=0.01).execute(scene.context())
    scene.push(v1="two")

    async def fire():
        return await anext(deferred.value.trigger.run())

    event = asyncio.run(asyncio.wait_for(fire(), 60))
    assert list(event.payload["confirmations"]) == ["v1"]
    found = scene.sensor(deferrable=True).execute_complete(
        scene.context(), json.loads(json.dumps(event.payload))
    )
    assert [item["push_data"]["tag"] for item in found] == ["v1"]


def test_sensor_of_a_flapping_tag_holds_it_over_its_runs(scene, caplog):
    scene.extra = {"flap_limit": 3}
    scene.tags()
    found = []
    for label in ("two", "one") * 4:
        scene.task.clear()
        scene.push(v1=label)
        found += scene.tags()
    assert found == ["v1"] * 3
    assert caplog.text.count("tag v1 was pushed 3 times within an hour") == 1


def test_sensor_with_a_recheck_interval_requests_every_tag(scene):
    scene.extra = {"recheck_interval": 86_400}
    sensor = scene.sensor()
    for _ in range(3):
        assert scene.tags(sensor) == []
    assert scene.registry.count("HEAD") == 3
    scene.push(v1="two")
    assert scene.tags(sensor) == ["v1"]


def test_sensor_with_more_pushes_than_airflow_maps_over_stores_nothing(scene):
    scene.extra = {"storm_limit": 5000}
    scene.tags()
    scene.push(**{f"t{number}": "one" for number in range(1025)})
    scene.mapped_over = True
    before = (dict(scene.shared), dict(scene.task))
    with pytest.raises(TooManyToMap, match="max_map_length"):
        scene.tags()
    assert (dict(scene.shared), dict(scene.task)) == before
    scene.mapped_over = False
    assert len(scene.tags()) == 1025


def test_sensor_of_an_unreachable_registry_waits(scene):
    scene.registry.url = "http://127.0.0.1:1"
    assert scene.tags() == []


def test_sensor_with_a_line_end_in_the_password_fails_and_names_it(scene, monkeypatch):
    def connection(conn_id):
        return Connection(conn_id=conn_id, conn_type="oci_registry", host="h", password="pw\n")

    monkeypatch.setattr(RegistryHook, "get_connection", staticmethod(connection))
    with pytest.raises(
        RegistryFault, match="login refused: Connection 'registry_default', .* at h, .*line feed"
    ):
        scene.tags()
