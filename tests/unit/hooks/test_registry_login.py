# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The login that a registry's Connection refers to, and the hosts that may receive it."""

from __future__ import annotations

import base64
import json
import subprocess
import sys

import pytest
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_registry_triggers.exceptions import RegistryFault
from airflow_registry_triggers.hooks import registry_login
from airflow_registry_triggers.hooks.cloud_login import CLOUD_HOSTS, CloudLogin, credentials_for
from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.hooks.registry_target import target_of
from airflow_registry_triggers.hooks.watch_settings import WatchSettings
from airflow_registry_triggers.registry.docker_config import DockerConfigLogin
from tests.unit.registry.scripted_registry import ScriptedRegistry, SignIn

SECRET = "planted-cloud-secret-0123456789"
ECR = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"


def conn(conn_id="registry_default", conn_type="oci_registry", extra=None, **values):
    return Connection(conn_id=conn_id, conn_type=conn_type, extra=json.dumps(extra or {}), **values)


def cloud(conn_type="aws", **values):
    return conn("aws_default", conn_type, login="AKIA", password=SECRET, **values)


@pytest.fixture
def known(monkeypatch):
    """The Connections that Airflow knows, by id."""
    known = {}

    def read(conn_id):
        if conn_id not in known:
            raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")
        return known[conn_id]

    async def aread(conn_id):
        return read(conn_id)

    monkeypatch.setattr(RegistryHook, "get_connection", staticmethod(read))
    monkeypatch.setattr(RegistryHook, "aget_connection", staticmethod(aread))
    return known


HOSTS = {
    "aws": [
        ECR,
        "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
        "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
        "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu",
        "123456789012.dkr-ecr.eu-west-1.on.aws",
        "123456789012.dkr-ecr-fips.us-east-1.on.aws",
    ],
    "google_cloud_platform": ["gcr.io", "eu.gcr.io", "europe-west1-docker.pkg.dev", "us-docker.pkg.dev"],
    "azure": ["team.azurecr.io", "team.azurecr.cn", "team.azurecr.us", "team.eastus.data.azurecr.io"],
    "alibaba_cloud": [
        "registry.cn-hangzhou.aliyuncs.com",
        "registry-vpc.cn-hangzhou.aliyuncs.com",
        "registry-internal.cn-hangzhou.aliyuncs.com",
        "team-registry.cn-hangzhou.cr.aliyuncs.com",
        "team-registry-vpc.eu-central-1.cr.aliyuncs.com",
    ],
}
EVERY_HOST = [(kind, host) for kind, hosts in HOSTS.items() for host in hosts]

NEAR_MISSES = [
    "{}.evil.example", "evil.example.{}.evil.example", "evil{}x", "{}:443", "{}:8443", "{}.", "x@{}", "evil.example",
]  # fmt: skip


@pytest.mark.parametrize(("kind", "host"), EVERY_HOST)
def test_shortcut_with_a_host_of_the_cloud_has_a_login_and_default_settings(kind, host):
    extra = {"region": "not-a-fact", "poll_interval": 1, "ca_file": "/ca.pem", "proxy": "http://p:1"}
    one = target_of(cloud(kind, extra=extra), f"{host}/team/app")
    assert isinstance(one.login, CloudLogin)
    assert (one.login.cloud, one.login.conn_id) == (kind, "aws_default")
    assert (one.base_url, one.repository) == (f"https://{host}", "team/app")
    assert (one.username, one.password, one.ca_file, one.proxy) == (None, None, None, None)
    assert one.settings == WatchSettings()
    assert SECRET not in repr(one)


@pytest.mark.parametrize("written", [*NEAR_MISSES, "{upper}", "\n{}", "{}\n"])
@pytest.mark.parametrize(("kind", "host"), EVERY_HOST)
@pytest.mark.parametrize("is_shortcut", [True, False])
def test_shortcut_with_a_near_miss_of_a_host_has_no_login(kind, host, written, is_shortcut):
    host = written.format(host, upper=host.upper())
    given = cloud(kind) if is_shortcut else conn(extra={"credentials_conn_id": "aws_default"})
    with pytest.raises(ValueError) as raised:
        target_of(given, f"{host}/team/app", cloud(kind))
    assert SECRET not in str(raised.value)
    assert CLOUD_HOSTS[kind].match(host) is None


def test_shortcut_with_another_host_names_both_connections_and_the_ways_out():
    with pytest.raises(ValueError) as raised:
        target_of(conn(extra={"credentials_conn_id": "aws_default"}), "evil.example.com/team/app", cloud())
    assert str(raised.value) == (
        "Connection 'registry_default': 'evil.example.com' is not a host of Amazon ECR, so it receives no token of "
        "Connection 'aws_default'. Set the host of Connection 'registry_default', if it is yours, or correct the "
        "repository."
    )
    with pytest.raises(ValueError, match="Create a Connection of type oci_registry .*'aws_default'"):
        target_of(cloud(), "evil.example.com/team/app")


def test_shortcut_without_a_host_in_the_repository_asks_for_one():
    with pytest.raises(ValueError, match="Connection 'aws_default' has no host"):
        target_of(cloud(), "team/app")


def test_target_of_a_connection_with_its_own_host_allows_any_host():
    given = conn(host="mirror.example.com", extra={"credentials_conn_id": "aws_default"})
    one = target_of(given, "team/app", cloud())
    assert isinstance(one.login, CloudLogin)
    with pytest.raises(ValueError, match="is for mirror.example.com"):
        target_of(given, f"{ECR}/team/app", cloud())


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"login": "u"}, "login and password must be empty with credentials_conn_id"),
        ({"password": SECRET}, "login and password must be empty with credentials_conn_id"),
        ({"extra": {"docker_config": "/c.json"}, "login": "u"}, "must be empty with docker_config"),
        ({"extra": {"docker_config": "/c.json", "credentials_conn_id": "a"}}, "exclude each other"),
        ({"extra": {"alibaba_instance_id": "cri-x"}}, "alibaba_instance_id requires credentials_conn_id"),
        ({"extra": {"credentials_conn_id": 7}}, "credentials_conn_id=7 must be text"),
        ({"extra": {"docker_config": {"a": 1}}}, "docker_config={'a': 1} must be text"),
    ],
)
def test_target_of_fields_that_contradict_each_other_raises(values, words):
    with pytest.raises(ValueError, match=words) as raised:
        target_of(
            conn(host=ECR, **{"extra": {"credentials_conn_id": "aws_default"}, **values}), "a/b", cloud()
        )
    assert str(raised.value).startswith("Connection 'registry_default'")
    assert SECRET not in str(raised.value)


def test_hook_with_a_missing_cloud_connection_names_the_field(known):
    known["registry_default"] = conn(host=ECR, extra={"credentials_conn_id": "nope"})
    with pytest.raises(ValueError) as raised:
        RegistryHook().list_tags("team/app")
    assert str(raised.value) == (
        "Connection 'registry_default': credentials_conn_id='nope' does not exist. Create it or correct the field."
    )
    assert RegistryHook().test_connection() == (False, str(raised.value).partition(": ")[2])


async def test_hook_in_a_coroutine_with_a_missing_cloud_connection_names_the_field(known):
    known["registry_default"] = conn(host=ECR, extra={"credentials_conn_id": "nope"})
    with pytest.raises(ValueError, match="credentials_conn_id='nope' does not exist"):
        await RegistryHook().alist_tags("team/app")


def test_hook_with_a_cloud_connection_of_another_type_names_the_types(known):
    known["registry_default"] = conn(host=ECR, extra={"credentials_conn_id": "other"})
    known["other"] = conn("other", "http", password=SECRET)
    with pytest.raises(
        ValueError, match="credentials_conn_id='other' is a Connection of type 'http'. Use one of"
    ):
        RegistryHook().target("team/app")


def test_credentials_for_a_connection_of_another_type_raises():
    with pytest.raises(ValueError, match="has the type 'http'. Use a Connection of type aws, google"):
        credentials_for(conn("x", "http"), ECR, {})


def test_credentials_for_equal_arguments_are_one_object():
    first, second = credentials_for(cloud(), ECR, {}), credentials_for(cloud(), ECR, {})
    assert first is second
    others = [
        credentials_for(cloud(extra={"role_arn": "x"}), ECR, {}),
        credentials_for(cloud(), ECR.replace("1234", "4321"), {}),
        credentials_for(cloud(), ECR, {"alibaba_instance_id": "cri-x"}),
        credentials_for(cloud("azure"), ECR, {}),
    ]
    assert len({first.key, *(other.key for other in others)}) == 5
    assert all(SECRET not in repr(vars(login)) for login in (first, *others))


def test_credentials_for_many_hosts_are_bounded_in_number():
    from airflow_registry_triggers.hooks import cloud_login

    for number in range(1000):
        credentials_for(cloud(), f"{number:012d}.dkr.ecr.eu-central-1.amazonaws.com", {})
    assert len(cloud_login._logins) <= 256


def test_target_of_a_docker_config_has_its_login(tmp_path):
    extra = {"docker_config": str(tmp_path / "config.json")}
    one = target_of(conn(host="registry.example.com", extra=extra), "team/app")
    assert isinstance(one.login, DockerConfigLogin)
    assert one == target_of(conn(host="registry.example.com", extra=extra), "team/app")
    assert one.login is not target_of(conn(extra=extra), "other.example.com/team/app").login


@pytest.mark.parametrize("form", ["auth", "username", "registrytoken"])
async def test_hook_with_a_docker_config_signs_in_with_the_login_of_the_host(
    known, tmp_path, monkeypatch, form
):
    pair = base64.b64encode(f"robot:{SECRET}".encode()).decode()
    entry = {"auth": {"auth": pair}, "username": {"username": "robot", "password": SECRET},
             "registrytoken": {"registrytoken": SECRET}}[form]  # fmt: skip
    registry = ScriptedRegistry()
    registry.put("team/app", ["a"])
    registry.sign_in = SignIn(
        username="robot", password=SECRET, granted={SECRET: {"repository:team/app:pull"}}
    )
    path = tmp_path / "config.json"
    monkeypatch.setattr(registry_login, "_docker_logins", {})
    async with registry.served():
        host = registry.url.removeprefix("http://")
        path.write_text(json.dumps({"auths": {host: entry}}))
        known["registry_default"] = conn(host=registry.url, extra={"docker_config": str(path)})
        assert await RegistryHook().alist_tags("team/app") == ["a"]
        one = RegistryHook().target("team/app")
        assert SECRET not in repr(one) + repr(vars(one.login)) + repr(one.client())


async def test_hook_with_a_rejected_login_of_a_docker_config_names_file_and_connection(
    known, tmp_path, monkeypatch
):
    registry = ScriptedRegistry()
    registry.put("team/app", ["a"])
    registry.sign_in = SignIn(
        scheme="basic", challenge='Basic realm="r"', username="robot", password="another"
    )
    path = tmp_path / "config.json"
    monkeypatch.setattr(registry_login, "_docker_logins", {})
    async with registry.served():
        host = registry.url.removeprefix("http://")
        path.write_text(json.dumps({"auths": {host: {"username": "robot", "password": SECRET}}}))
        known["registry_default"] = conn(host=registry.url, extra={"docker_config": str(path)})
        with pytest.raises(RegistryFault) as raised:
            await RegistryHook().alist_tags("team/app")
    text = str(raised.value)
    assert f"credentials from {str(path)!r} (Connection 'registry_default') were rejected (401)" in text
    assert SECRET not in text


def test_allowed_helpers_of_the_deployment_are_names(monkeypatch):
    monkeypatch.setenv("AIRFLOW__REGISTRY_TRIGGERS__CREDENTIAL_HELPERS", " ecr-login , gcr,,")
    assert registry_login.allowed_helpers() == ("ecr-login", "gcr")
    monkeypatch.setenv("AIRFLOW__REGISTRY_TRIGGERS__CREDENTIAL_HELPERS", "../bin/sh")
    with pytest.raises(ValueError, match="credential_helpers: '../bin/sh' is not the name of a helper"):
        registry_login.allowed_helpers()
    monkeypatch.delenv("AIRFLOW__REGISTRY_TRIGGERS__CREDENTIAL_HELPERS")
    assert registry_login.allowed_helpers() == ()


CLOUD_PACKAGES = ("boto3", "botocore", "google.auth", "azure.identity", "azure.core", "alibabacloud_tea_openapi",
                  "airflow.providers.amazon", "requests")  # fmt: skip

DAG_FILE = f"""
import sys
from airflow.sdk import DAG, Asset
Asset(uri="s3://bucket/key")  # Airflow imports the URI handlers of all providers, Amazon's with boto3 among them
before = set(sys.modules)
from airflow_registry_triggers import RegistryPushSensor, TriggerMatchOperator, WebhookDeliverOperator
from airflow_registry_triggers.assets.oci import repository_asset
from airflow_registry_triggers.hooks.registry import RegistryHook
with DAG("d", schedule=[repository_asset("{ECR}/team/app", registry_conn_id="aws_default")]):
    RegistryPushSensor(task_id="a", repository="{ECR}/team/app", registry_conn_id="aws_default")
print([name for name in {CLOUD_PACKAGES!r} if name in set(sys.modules) - before])
"""


def test_dag_file_with_a_cloud_registry_loads_no_cloud_package_when_parsed():
    done = subprocess.run([sys.executable, "-c", DAG_FILE], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
