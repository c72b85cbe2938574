# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A sensor that waits for pushes to a repository."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.configuration import conf

from airflow_registry_triggers.common.mapping import check_mappable, is_mapped
from airflow_registry_triggers.common.metrics import SENSOR, count_detected
from airflow_registry_triggers.common.state_store import SharedStateMixin, state_prefix
from airflow_registry_triggers.common.templating import is_literal
from airflow_registry_triggers.exceptions import InvalidArgument, RegistryFault
from airflow_registry_triggers.hooks.registry import RegistryHook
from airflow_registry_triggers.matching.inputs import notifications_of_conf
from airflow_registry_triggers.registry.confirmation import Confirmations
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.names import RepositoryReference
from airflow_registry_triggers.registry.scope import FirstRun, checked_first_run
from airflow_registry_triggers.registry.tag_order import check_conditions
from airflow_registry_triggers.sensors.sensor_flags import SensorFlagsMixin
from airflow_registry_triggers.sensors.sensor_state import SensorState
from airflow_registry_triggers.tag_rule import CONDITIONS, TagRule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

    from airflow_registry_triggers.hooks.registry_target import RegistryTarget
    from airflow_registry_triggers.registry.poll import Poll
    from airflow_registry_triggers.registry.poll_memory import PollMemory
    from airflow_registry_triggers.registry.watermark import Watermark

__all__ = ["RegistryPushSensor"]


class RegistryPushSensor(SharedStateMixin, SensorFlagsMixin, BaseSensorOperator):
    """
    Wait until a tag of a repository is new or points to another digest; return the list of notifications.

    The watermark is in Airflow's asset state store, one for each task, registry and repository. A retry and
    a clear of the task return the same notifications. If the run's conf has the key ``notification``, the
    sensor returns that and stores nothing: a test of the trigger.

    The sensor waits while the registry is down, slow or limits requests, until its ``timeout``. A missing
    repository, a wrong password, a host that is not a registry and a TLS error fail the task at once.
    ``soft_fail`` skips the task only on timeout.

    :param repository: ``team/app``, or with a host, ``ghcr.io/team/app`` (templated)
    :param registry_conn_id: id of an ``oci_registry``, ``docker`` or ``http`` Connection (templated)
    :param tags: at most 10 exact tags (templated)
    :param tag_regex: RE2 expression for the whole tag (templated)
    :param semver: range of versions, such as ``>=1.2 <2`` (templated)
    :param exclude_regex: RE2 expression for tags that are not watched (templated)
    :param newest: ``version``, ``number`` or ``text``: watch only the greatest tag, and never return a lesser
        one than before
    :param first_run: ``baseline`` records the current tags; ``notify`` returns a notification for each
    :param deferrable: whether to wait in the triggerer, without a worker slot; default
        ``[operators] default_deferrable``
    :param poke_interval: seconds between two polls
    :param retries: retries after a lost worker, default 3; Airflow's own default is 0
    :param retry_delay: pause before a retry, default 5 s
    :raises ValueError: a literal argument is not valid, while the Dag is parsed
    """

    template_fields: Sequence[str] = ("repository", "registry_conn_id", *CONDITIONS)
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        repository: str,
        registry_conn_id: str = RegistryHook.default_conn_name,
        tags: Sequence[str] | None = None,
        tag_regex: str | None = None,
        semver: str | None = None,
        exclude_regex: str | None = None,
        newest: str | None = None,
        first_run: FirstRun = "baseline",
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        retries: int | None = 3,
        retry_delay: timedelta | float = timedelta(seconds=5),
        max_active_tis_per_dag: int | None = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            retries=retries,
            retry_delay=retry_delay,
            max_active_tis_per_dag=max_active_tis_per_dag,
            **kwargs,
        )
        self.repository = repository
        self.registry_conn_id = registry_conn_id
        self.tags = tags
        self.tag_regex = tag_regex
        self.semver = semver
        self.exclude_regex = exclude_regex
        self.newest = newest
        self.first_run = first_run
        self.deferrable = deferrable
        self._memory: PollMemory | None = None
        self._confirmations = Confirmations()
        self._polling: asyncio.Task[Poll] | None = None
        _check_literal(repository, first_run, newest, **self._conditions)

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Create a mapped sensor; literal arguments are checked here: ``__init__`` runs in the worker."""
        _check_literal(**{name: kwargs[name] for name in _CHECKED if name in kwargs})
        return super().partial(**kwargs)

    def execute(self, context: Context) -> Any:
        """
        Wait for pushes; see the class.

        :raises InvalidArgument: a rendered argument or the Connection is not valid
        :raises RegistryFault: the registry's setup is wrong, so a retry does not help
        :raises TooManyToMap: the next task is mapped over more notifications than Airflow allows
        """
        with self.soft_fail_on_timeout_only():
            if not self.deferrable:
                return super().execute(context)
            return self._poke_or_defer(context, time.time())

    def resume_execution(self, *args: Any, **kwargs: Any) -> Any:
        """Continue after a deferral; a crashed Airflow trigger fails the task, also with ``soft_fail``."""
        with self.soft_fail_on_timeout_only():
            return super().resume_execution(*args, **kwargs)

    def execute_complete(self, context: Context, event: Any = None, started_at: float = 0.0) -> Any:
        """
        Poll again after the Airflow trigger fired, and return the notifications or defer again.

        :param context: Airflow's context
        :param event: payload of the Airflow trigger's event
        :param started_at: start of the wait, in seconds since the epoch
        """
        if isinstance(event, Mapping):
            self._confirmations = Confirmations.from_dict(event.get("confirmations"))
        return self._poke_or_defer(context, started_at)

    def poke(self, context: Context) -> PokeReturnValue:
        """Poll once."""
        found = self._find(context)
        return PokeReturnValue(bool(found), found or None)

    def on_kill(self) -> None:
        """Cancel a running poll, so that its connections close."""
        polling = self._polling
        if polling is not None:
            polling.get_loop().call_soon_threadsafe(polling.cancel)

    def _poke_or_defer(self, context: Context, started_at: float) -> list[dict[str, Any]]:
        from airflow_registry_triggers.triggers.registry_push import RegistryChangeTrigger

        found = self.with_flags(lambda: self._find(context))
        if found:
            return found
        left = self.timeout - (time.time() - started_at)
        if left <= 0:
            self.time_out(f"No push to {self.repository} within {self.timeout:g} s")
        return self.defer(
            trigger=RegistryChangeTrigger(
                repository=self.repository,
                registry_conn_id=self.registry_conn_id,
                **{**self._conditions, "tags": list(self.tags) if self.tags is not None else None},
                newest=self.newest,
                first_run=self.first_run,
                state_prefix=self._prefix(context, self._target()),
                poll_interval=self.poke_interval,
            ),
            method_name="execute_complete",
            kwargs={"started_at": started_at},
            timeout=timedelta(seconds=left),
        )

    def _find(self, context: Context) -> list[dict[str, Any]] | None:
        given = notifications_of_conf(context)
        if given is not None:
            self.log.info("The run's conf has a notification: this run tests the trigger")
            return given
        self._check_rendered()
        target = self._target()
        state = SensorState(context, self._prefix(context, target), target.settings)
        result = state.result()
        if result is None:
            result = self._poll_and_store(context, target, state)
        if result:
            state.advance(result)
        return result

    def _poll_and_store(
        self, context: Context, target: RegistryTarget, state: SensorState
    ) -> list[dict[str, Any]] | None:
        watermark = state.watermark()
        if self._memory is None:
            self._memory = state.memory()
        if self._confirmations:
            # The Airflow trigger has counted the polls since the last one here.
            self._memory.confirmations, self._confirmations = self._confirmations, Confirmations()
        poll = self._poll(target, watermark, self._memory)
        if poll is None:
            return None
        # Airflow would refuse a longer list only after all state was stored.
        check_mappable(context, len(poll.notifications))
        state.save_baseline(poll, watermark, self._memory)
        if not poll.notifications:
            return None
        found = [notification.to_dict() for notification in poll.notifications]
        self.log.info("Found %d pushes to %s", len(found), target.repository)
        state.save_result(found, self._memory)
        count_detected(len(found), SENSOR)
        return found

    def _poll(self, target: RegistryTarget, watermark: Watermark, memory: PollMemory) -> Poll | None:
        async def run() -> Poll:
            mode, rule = checked_first_run(self.first_run), TagRule(**self._conditions)
            self._polling = asyncio.ensure_future(
                target.poll(watermark, rule, mode, memory, newest=self.newest)
            )
            return await self._polling

        try:
            return asyncio.run(run())
        except RegistryError as error:
            if not error.transient:
                raise RegistryFault(target.describe(error)) from None
            self.log.warning("%s. The sensor continues to wait", target.describe(error))
            return None
        finally:
            self._polling = None

    @property
    def _conditions(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in CONDITIONS}

    def _target(self) -> RegistryTarget:
        try:
            return RegistryHook(self.registry_conn_id).target(self.repository)
        except ValueError as error:
            raise InvalidArgument(str(error)) from None

    def _prefix(self, context: Context, target: RegistryTarget) -> str:
        ti = context["ti"]
        parts: list[object] = [target.registry, target.repository]
        if is_mapped(ti):
            # Two instances of one mapped task may watch the same repository with different rules.
            later = {"semver": self.semver, "exclude_regex": self.exclude_regex, "newest": self.newest}
            # Only conditions that are set: a longer key would start a new baseline of the same rule.
            later = {name: value for name, value in later.items() if value is not None}
            parts += [list(self.tags or []), self.tag_regex, *([later] if later else [])]
        return state_prefix("watermark", ti.dag_id, ti.task_id, *parts)

    def _check_rendered(self) -> None:
        try:
            RepositoryReference.parse(self.repository)
            check_conditions(self.newest, **self._conditions)
        except ValueError as error:
            raise InvalidArgument(str(error)) from None


_CHECKED = ("repository", "first_run", "newest", *CONDITIONS)


def _check_literal(
    repository: Any = None, first_run: Any = None, newest: Any = None, **conditions: Any
) -> None:
    if repository is not None and is_literal(repository):
        RepositoryReference.parse(repository)
    check_conditions(newest, **(conditions if is_literal(list(conditions.values())) else {}))
    if first_run is not None:
        checked_first_run(first_run)
