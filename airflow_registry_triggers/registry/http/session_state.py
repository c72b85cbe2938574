# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The settings of a transport, and the memory of the process about a registry and login."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_registry_triggers.registry.http.auth import AuthState
from airflow_registry_triggers.registry.http.destinations import OwnAddresses
from airflow_registry_triggers.registry.http.head_support import HeadSupport

if TYPE_CHECKING:
    from collections.abc import Callable

    from yarl import URL

    from airflow_registry_triggers.registry.http.credentials import Login
    from airflow_registry_triggers.registry.http.proxies import Proxy
    from airflow_registry_triggers.registry.http.rate_limits import Pause
    from airflow_registry_triggers.registry.http.tokens import Token

__all__ = ["Identity", "Memory", "Options"]

_MAX_ORIGINS = 16

Identity = tuple[str, str]


@dataclass(slots=True)
class Memory:
    """
    The memory of the process about one registry and login. It outlives connections and event loops.

    :param sign_in: terms of the registry itself
    :param elsewhere: terms of origins that the registry redirects to
    :param own_addresses: whether the registry had a public address; a new connection must not forget it
    :param redirects_to: the origin elsewhere that asked for a token last
    :param page_size: the position in ``PAGE_SIZES`` from which listings start
    :param proves_page_size: whether a listing succeeded with it
    :param api_token: token of the registry's own API
    :param closed_apis: APIs that are not used any more, for a repository or, with an empty name, for all, and
        the monotonic time until which this holds
    """

    pause: Pause
    sign_in: AuthState = field(default_factory=AuthState)
    elsewhere: dict[str, AuthState] = field(default_factory=dict)
    head: HeadSupport = field(default_factory=HeadSupport)
    own_addresses: OwnAddresses = field(default_factory=OwnAddresses)
    redirects_to: URL | None = None
    page_size: int = 0
    proves_page_size: bool = False
    api_token: Token | None = None
    closed_apis: dict[tuple[str, str], float] = field(default_factory=dict)

    def terms_of(self, origin: URL) -> AuthState:
        """Return the terms of an origin that the registry redirects to."""
        name = str(origin)
        if name not in self.elsewhere:
            while len(self.elsewhere) >= _MAX_ORIGINS:
                del self.elsewhere[next(iter(self.elsewhere))]
            self.elsewhere[name] = AuthState()
        return self.elsewhere[name]


@dataclass(frozen=True)
class Options:
    """
    Settings of a transport.

    :param base: base URL of the registry
    :param ca_file: certificates in PEM form that are trusted in addition to the system's
    :param max_in_flight: requests in flight; None: 10 on a private network, else 2
    :param proxy: None: the environment's proxy
    :param on_secret: called with each value of a proxy that logs must mask
    :param on_token: called with each token and encoded login that logs must mask
    """

    base: URL
    login: Login
    ca_file: str | None = None
    max_in_flight: int | None = None
    proxy: Proxy | None = None
    on_secret: Callable[[str], None] = field(default=lambda value: None, compare=False)
    on_token: Callable[[str], None] = field(default=lambda value: None, compare=False)

    @property
    def identity(self) -> Identity:
        """The registry and a hash of the login."""
        return (str(self.base), self.login.key)

    @property
    def key(self) -> tuple[object, ...]:
        """Clients with equal keys share one transport."""
        return (self.identity, self.ca_file, self.max_in_flight, self.proxy)
