# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The ground the other tests stand on does what it says."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import sys
import time
import urllib.request
from typing import TYPE_CHECKING

import psutil
import pytest
import trustme

from tests.harness import images, processes
from tests.harness.docker_registry import DockerRegistry
from tests.harness.processes import Process, ProcessFailed, find_program, free_port, wait_until
from tests.harness.receiver import Answer, Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FAMILY = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def post(receiver: Receiver, path: str, body: bytes = b"") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(receiver.host, receiver.port, timeout=30)
    try:
        connection.request("POST", path, body=body, headers={"X-Case": "kept As-is"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


class TestProcess:
    def test_stop_with_sigterm_ignored_kills_the_process_and_its_children(self, tmp_path: Path) -> None:
        log = tmp_path / "family.log"
        process = Process("family", [sys.executable, "-c", FAMILY], log).start()
        child = int(wait_until(lambda: log.read_text().strip(), 60, "the child's id", process=process))
        assert os.getsid(child) == process.pid
        process.stop(timeout=0.3)
        assert not process.alive
        assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE

    def test_stop_with_a_sigterm_handler_lets_it_run(self, tmp_path: Path) -> None:
        log = tmp_path / "gentle.log"
        script = (
            "import signal, sys, time\n"
            "signal.signal(15, lambda *_: (print('bye', flush=True), sys.exit()))\n"
            "print('up', flush=True)\ntime.sleep(60)"
        )
        process = Process("gentle", [sys.executable, "-c", script], log).start()
        wait_until(lambda: "up" in log.read_text(), 60, "the process", process=process)
        process.stop()
        assert "bye" in log.read_text()

    def test_start_of_an_ended_process_keeps_its_log(self, tmp_path: Path) -> None:
        process = Process("twice", [sys.executable, "-c", "print('here')"], tmp_path / "log")
        for count in (1, 2):
            process.start()
            wait_until(lambda: not process.alive, 60, "its end")
            assert process.log.read_text().count("here") == count
        process.stop()

    def test_wait_until_with_an_ended_process_raises_its_output(self, tmp_path: Path) -> None:
        process = Process("short", [sys.executable, "-c", "print('the reason')"], tmp_path / "log").start()
        with pytest.raises(ProcessFailed, match=r"(?s)short ended while waiting for spring.*the reason"):
            wait_until(lambda: False, 60, "spring", process=process)

    def test_wait_until_after_its_timeout_raises(self, tmp_path: Path) -> None:
        with pytest.raises(TimeoutError, match="waited 0.2 s for nothing"):
            wait_until(lambda: False, 0.2, "nothing")

    def test_free_port_called_20_times_returns_different_ports(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(processes, "_PORTS", range(29_900, 29_940))
        assert len({free_port() for _ in range(20)}) == 20

    def test_find_program_with_a_missing_program_names_the_setup(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("NO_SUCH", "no-such-program")
        with pytest.raises(
            FileNotFoundError, match="no-such-program was not found: run .ci/setup all, or set NO_SUCH"
        ):
            find_program("skopeo", "NO_SUCH")


class TestDockerRegistry:
    def test_push_of_an_image_can_be_pulled_by_its_digest(
        self, registry: DockerRegistry, tmp_path: Path
    ) -> None:
        digest = images.push(registry, images.Image("pushed"), "team/app", "v1")
        assert images.pull(registry, "team/app", digest, tmp_path / "pulled") == digest
        tagged = registry.request("HEAD", "/v2/team/app/manifests/v1", headers={"Accept": images.MANIFEST})
        assert tagged.headers["docker-content-digest"] == digest

    def test_image_with_another_label_has_another_digest(self) -> None:
        assert images.Image("a").digest == images.Image("a").digest != images.Image("b").digest

    def test_put_image_with_two_tags_can_be_pulled_by_skopeo(
        self, registry: DockerRegistry, tmp_path: Path
    ) -> None:
        digest = images.put_image(registry, images.Image("plain"), "team/plain", ["one", "two"])
        images.put_tag(registry, "team/plain", "three", digest)
        assert images.pull(registry, "team/plain", digest, tmp_path / "pulled") == digest
        assert set(registry.request("GET", "/v2/team/plain/tags/list").json()["tags"]) == {
            "one",
            "two",
            "three",
        }

    def test_remove_tag_and_remove_manifest_delete_their_tags(self, registry: DockerRegistry) -> None:
        digest = images.put_image(registry, images.Image("going"), "team/going", ["one", "two", "three"])
        registry.remove_tag("team/going", "one")
        assert set(registry.request("GET", "/v2/team/going/tags/list").json()["tags"]) == {"two", "three"}
        images.remove_manifest(registry, "team/going", digest)
        assert registry.request("HEAD", "/v2/team/going/manifests/two").status == 404

    def test_requests_after_two_requests_returns_both(self, registry: DockerRegistry) -> None:
        registry.forget_requests()
        registry.request("GET", "/v2/")
        registry.request("GET", "/v2/no/such/tags/list?n=5")
        wait_until(lambda: len(registry.requests()) >= 2, 60, "the log")
        assert [(line.method, line.path, line.status) for line in registry.requests()] == [
            ("GET", "/v2/", 200),
            ("GET", "/v2/no/such/tags/list?n=5", 404),
        ]

    def test_registry_after_a_restart_keeps_port_and_tags(self, tmp_path: Path) -> None:
        registry = DockerRegistry(tmp_path)
        with registry:
            images.put_image(registry, images.Image("kept"), "team/app", ["v1"])
        with pytest.raises(OSError, match="refused"):
            registry.request("GET", "/v2/")
        with registry:
            assert registry.request("GET", "/v2/team/app/tags/list").json()["tags"] == ["v1"]
            registry.empty()
            assert registry.request("GET", "/v2/team/app/tags/list").status == 404

    def test_protected_registry_without_a_password_returns_401(self, tmp_path: Path) -> None:
        with DockerRegistry(tmp_path, protected=True) as registry:
            digest = images.push(registry, images.Image("guarded"), "team/app", "v1")
            assert images.pull(registry, "team/app", digest, tmp_path / "pulled") == digest
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(registry.url + "/v2/", timeout=30)

    def test_docker_registry_with_a_ca_serves_https(self, tmp_path: Path) -> None:
        ca = trustme.CA()
        with DockerRegistry(tmp_path, ca=ca) as registry:
            digest = images.push(registry, images.Image("tls"), "team/app", "v1")
            assert images.pull(registry, "team/app", digest, tmp_path / "pulled") == digest
            trusting = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
            with urllib.request.urlopen(registry.url + "/v2/", timeout=30, context=trusting) as answer:
                assert answer.status == 200
            with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
                urllib.request.urlopen(registry.url + "/v2/", timeout=30)


class TestReceiver:
    def test_receiver_after_a_request_keeps_all_of_it(self, receiver: Receiver) -> None:
        before = time.time()
        post(receiver, "/hook?q=1", b'{"b": 1, "a": 2}')
        (item,) = receiver.wait_for(1, path="/hook")
        assert (item.method, item.path, item.body) == ("POST", "/hook?q=1", b'{"b": 1, "a": 2}')
        assert ("X-Case", "kept As-is") in item.headers
        assert item.header("x-case") == "kept As-is"
        assert list(item.json()) == ["b", "a"]
        assert before <= item.at <= time.time()

    def test_receiver_with_a_script_answers_by_path(self, receiver: Receiver) -> None:
        receiver.script("/hook", 500, Answer(status=429, headers={"Retry-After": "7"}, body=b"later"), 204)
        assert [post(receiver, "/hook")[0] for _ in range(4)] == [500, 429, 204, 204]
        assert post(receiver, "/other")[0] == 200
        assert [item.status for item in receiver.received("/hook")] == [500, 429, 204, 204]

    def test_receiver_with_a_fault_closes_resets_or_delays(self, receiver: Receiver) -> None:
        receiver.script("/close", Answer(close=True))
        receiver.script("/reset", Answer(reset=True))
        receiver.script("/slow", Answer(delay=0.3))
        with pytest.raises(http.client.RemoteDisconnected):
            post(receiver, "/close")
        with pytest.raises(ConnectionResetError) as caught:
            post(receiver, "/reset")
        assert caught.type is ConnectionResetError, "a RST is not the same as a close"
        start = time.monotonic()
        assert post(receiver, "/slow")[0] == 200
        assert time.monotonic() - start >= 0.3

    def test_receiver_with_a_chunked_body_reads_it(self, receiver: Receiver) -> None:
        connection = http.client.HTTPConnection(receiver.host, receiver.port, timeout=30)
        connection.request(
            "POST",
            "/",
            body=iter([b"ab", b"c"]),
            encode_chunked=True,
            headers={"Transfer-Encoding": "chunked"},
        )
        assert connection.getresponse().status == 200
        connection.close()
        assert receiver.received()[0].body == b"abc"

    def test_receiver_after_a_restart_has_the_same_port(self, receiver: Receiver) -> None:
        receiver.stop()
        with pytest.raises(ConnectionRefusedError):
            post(receiver, "/")
        receiver.start()
        assert post(receiver, "/")[0] == 200

    def test_wait_for_with_too_few_requests_names_their_number(self, receiver: Receiver) -> None:
        post(receiver, "/")
        with pytest.raises(TimeoutError, match="2 requests at .*; 1 came"):
            receiver.wait_for(2, timeout=0.2)

    def test_receiver_with_a_ca_serves_https(self) -> None:
        ca = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ca.issue_cert("127.0.0.1").configure_cert(context)
        trusting = ssl.create_default_context()
        ca.configure_trust(trusting)
        with Receiver(context=context) as receiver:
            with urllib.request.urlopen(
                receiver.url, data=json.dumps({}).encode(), context=trusting
            ) as answer:
                assert answer.status == 200
            assert receiver.received()[0].body == b"{}"
