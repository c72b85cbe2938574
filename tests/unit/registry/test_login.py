# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Credentials that expire: one fetch for all, renewed in time, kept while a renewal fails."""

from __future__ import annotations

import asyncio
import logging
import time
from types import SimpleNamespace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from airflow_registry_triggers.registry import login
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.http.credentials import Credentials
from airflow_registry_triggers.registry.login import FetchedCredentials, RenewableCredentials
from tests.unit.loop_clock import settle


class Issuer:
    """Issue numbered credentials, or fail, or hang."""

    def __init__(self, lifetime=100.0):
        self.lifetime = lifetime
        self.fetches = 0
        self.error = None
        self.gate = None

    async def __call__(self):
        self.fetches += 1
        number = self.fetches
        await asyncio.sleep(0)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        return FetchedCredentials(Credentials("user", f"token-{number}"), self.lifetime)


@pytest.fixture
def clock(monkeypatch):
    """A clock for the module, which tests move."""
    clock = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(login, "time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


@pytest.fixture
def issuer():
    return Issuer()


@pytest.fixture
def renewable(issuer, clock):
    return RenewableCredentials("key", issuer)


UNAVAILABLE = RegistryError("The cloud is down.", kind="unavailable")


async def test_current_of_many_waiters_fetches_once(renewable, issuer):
    found = await asyncio.gather(*(renewable.current() for _ in range(1000)))
    assert {credentials.password for credentials in found} == {"token-1"}
    assert issuer.fetches == 1


async def test_current_after_a_cancelled_waiter_still_returns_the_shared_fetch(renewable, issuer):
    issuer.gate = asyncio.Event()
    first, second = asyncio.create_task(renewable.current()), asyncio.create_task(renewable.current())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()
    issuer.gate.set()
    assert (await second).password == "token-1"
    assert issuer.fetches == 1


@pytest.mark.parametrize(("age", "password"), [(79.9, "token-1"), (80.1, "token-2"), (150.0, "token-2")])
async def test_current_at_an_age_renews_from_80_percent_of_the_lifetime(renewable, clock, age, password):
    await renewable.current()
    clock.now += age
    assert (await renewable.current()).password == password


@pytest.mark.parametrize(
    ("lifetime", "counts_as"),
    [
        (None, 60.0),
        (0.0, 60.0),
        (-300.0, 60.0),
        (float("nan"), 60.0),
        (1e9, 86_400.0),
        (float("inf"), 86_400.0),
    ],
)
async def test_current_with_an_unusable_lifetime_renews_at_80_percent_of_the_default(
    renewable, issuer, clock, lifetime, counts_as
):
    issuer.lifetime = lifetime
    await renewable.current()
    clock.now += 0.79 * counts_as
    assert (await renewable.current()).password == "token-1"
    clock.now += 0.02 * counts_as
    assert (await renewable.current()).password == "token-2"


async def test_current_while_a_renewal_fails_keeps_the_valid_ones_and_retries_after_30_s(
    renewable, issuer, clock, caplog
):
    await renewable.current()
    issuer.error = UNAVAILABLE
    clock.now += 60
    assert (await renewable.current()).password == "token-1"
    assert issuer.fetches == 1
    issuer.lifetime = 1000.0
    clock.now += 21
    with caplog.at_level(logging.WARNING):
        assert (await renewable.current()).password == "token-1"
        assert (await renewable.current()).password == "token-1"
    assert issuer.fetches == 2
    assert [record.message for record in caplog.records] == [
        "The cloud is down. The earlier credentials are valid for 19 s more."
    ]


async def test_current_30_s_after_a_failed_renewal_fetches_again(renewable, issuer, clock):
    issuer.lifetime = 1000.0
    await renewable.current()
    issuer.error = UNAVAILABLE
    clock.now += 801
    await renewable.current()
    issuer.error = None
    clock.now += 29
    assert (await renewable.current()).password == "token-1"
    clock.now += 2
    assert (await renewable.current()).password == "token-3"


async def test_current_after_the_end_of_the_lifetime_raises_the_error_of_the_fetch(renewable, issuer, clock):
    await renewable.current()
    issuer.error = UNAVAILABLE
    clock.now += 81
    await renewable.current()
    clock.now += 20
    with pytest.raises(RegistryError, match="The cloud is down"):
        await renewable.current()
    issuer.error = None
    assert (await renewable.current()).password == "token-4"


async def test_current_with_a_failing_first_fetch_raises_it_to_all_and_fetches_again_later(renewable, issuer):
    issuer.error = UNAVAILABLE
    found = await asyncio.gather(*(renewable.current() for _ in range(50)), return_exceptions=True)
    assert [str(error) for error in found] == ["The cloud is down."] * 50
    assert issuer.fetches == 1
    issuer.error = None
    assert (await renewable.current()).password == "token-2"


async def test_current_while_a_renewal_hangs_uses_the_valid_ones_after_some_patience(issuer, monkeypatch):
    monkeypatch.setattr(login, "PATIENCE", 0.05)
    monkeypatch.setattr(login, "RENEW_AT", 0.0)
    renewable = RenewableCredentials("key", issuer)
    await renewable.current()
    issuer.gate = asyncio.Event()
    began = time.monotonic()
    found = await asyncio.gather(*(renewable.current() for _ in range(20)))
    assert {credentials.password for credentials in found} == {"token-1"}
    assert time.monotonic() - began < 30
    assert issuer.fetches == 2, "the hanging fetch is not started once more"
    issuer.gate.set()
    await settle()
    assert renewable.reject(Credentials("user", "token-1")), "its result replaced the earlier ones"


async def test_reject_of_young_credentials_keeps_them(renewable, issuer, clock):
    used = await renewable.current()
    clock.now += 4.9
    assert not renewable.reject(used)
    assert (await renewable.current()) == used
    assert issuer.fetches == 1


async def test_reject_of_many_equal_401s_drops_the_credentials_once(renewable, issuer, clock):
    used = await renewable.current()
    clock.now += 6
    assert renewable.reject(used)
    assert (await renewable.current()).password == "token-2"
    assert all(renewable.reject(used) for _ in range(100))
    assert (await renewable.current()).password == "token-2"
    assert issuer.fetches == 2


async def test_current_after_a_rejection_and_a_failed_fetch_does_not_use_the_rejected_ones(
    renewable, issuer, clock
):
    used = await renewable.current()
    clock.now += 6
    issuer.error = UNAVAILABLE
    renewable.reject(used)
    with pytest.raises(RegistryError):
        await renewable.current()


def test_current_in_several_event_loops_works_in_each(issuer):
    renewable = RenewableCredentials("key", issuer)
    assert asyncio.run(renewable.current()).password == "token-1"
    assert asyncio.run(renewable.current()).password == "token-1"
    assert renewable.reject(Credentials("user", "other"))
    renewable._held = None
    assert asyncio.run(renewable.current()).password == "token-2"


async def test_repr_of_renewable_credentials_shows_a_hash_only(issuer):
    renewable = RenewableCredentials("0123456789abcdef" * 4, issuer)
    await renewable.current()
    assert repr(renewable) == "RenewableCredentials(key='0123456789ab')"
    assert "token-1" not in repr(vars(renewable))


def test_equality_of_renewable_credentials_is_that_of_their_keys(issuer):
    assert RenewableCredentials("a", issuer) == RenewableCredentials("a", Issuer())
    assert RenewableCredentials("a", issuer) != RenewableCredentials("b", issuer)
    assert len({RenewableCredentials("a", issuer), RenewableCredentials("a", Issuer())}) == 1


class Renewals(RuleBasedStateMachine):
    """Any order of uses, rejections, outages and pauses."""

    @initialize(lifetime=st.floats(1.0, 200.0))
    def start(self, lifetime):
        self.patch = pytest.MonkeyPatch()
        self.clock = SimpleNamespace(now=1000.0)
        self.patch.setattr(login, "time", SimpleNamespace(monotonic=lambda: self.clock.now))
        self.patch.setattr(login.log, "warning", lambda *arguments: None)
        self.issuer = Issuer(lifetime)
        self.issued_at = {}
        self.failed_at = -1e9
        self.dropped = set()
        self.used = None
        self.renewable = RenewableCredentials("key", self.fetch)

    def teardown(self):
        if hasattr(self, "patch"):
            self.patch.undo()

    async def fetch(self):
        try:
            fetched = await self.issuer()
        except RegistryError:
            self.failed_at = self.clock.now
            raise
        self.issued_at[fetched.credentials.password] = self.clock.now
        return fetched

    @rule(seconds=st.floats(0.1, 70.0))
    def wait(self, seconds):
        self.clock.now += seconds

    @rule(part=st.sampled_from([0.05, 0.1, 0.4, 0.81]))
    def wait_for_a_part_of_the_lifetime(self, part):
        self.clock.now += part * self.issuer.lifetime

    @rule(is_down=st.booleans())
    def change_the_cloud(self, is_down):
        self.issuer.error = UNAVAILABLE if is_down else None

    @rule()
    def reject(self):
        if self.used is None:
            return
        name = self.used.password
        is_young = self.clock.now - self.issued_at[name] < 5.0
        is_current = (
            name == f"token-{max(int(key[6:]) for key in self.issued_at)}" and name not in self.dropped
        )
        assert self.renewable.reject(self.used) == (not (is_current and is_young))
        if is_current and not is_young:
            self.dropped.add(name)

    @rule(waiters=st.integers(1, 5))
    def use(self, waiters):
        fetches, failed_at = self.issuer.fetches, self.failed_at

        async def all_of_them():
            return await asyncio.gather(
                *(self.renewable.current() for _ in range(waiters)), return_exceptions=True
            )

        found = asyncio.run(all_of_them())
        fetches = self.issuer.fetches - fetches
        assert fetches <= 1, "one fetch for all that wait"
        assert len({str(one) + getattr(one, "password", "") for one in found}) == 1
        if isinstance(found[0], Exception):
            assert fetches == 1, "an error is that of a fetch of now"
            return
        self.used = found[0]
        assert self.used.password not in self.dropped, "rejected credentials are not used"
        age, lifetime = self.clock.now - self.issued_at[self.used.password], self.issuer.lifetime
        assert age < lifetime, "credentials are not used after their end"
        if age > 0.8 * lifetime:
            has_failed = self.issued_at[self.used.password] < failed_at and self.clock.now - failed_at < 30.0
            assert (fetches == 0) == has_failed, "renewed, unless that failed within 30 s"
        elif age > 0:
            assert fetches == 0, "young credentials are not fetched again"


TestRenewals = Renewals.TestCase
