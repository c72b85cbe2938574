# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""A sensor that waits for an image to be pushed."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

from airflow_registry_triggers.common.metrics import SENSOR, count_detected
from airflow_registry_triggers.common.state_store import (
    STATE_ASSET,
    SharedStateMixin,
    WatermarkStore,
    load_chunked,
    save_chunked,
    state_prefix,
)
from airflow_registry_triggers.common.templating import is_literal
from airflow_registry_triggers.exceptions import InvalidArgument, RegistryFault
from airflow_registry_triggers.hooks.registry import FIRST_RUNS, RegistryHook, RegistryTarget
from airflow_registry_triggers.matching.inputs import notifications_of_conf
from airflow_registry_triggers.registry.errors import RegistryError
from airflow_registry_triggers.registry.names import RepositoryReference
from airflow_registry_triggers.registry.watermark import TagState
from airflow_registry_triggers.tag_rule import TagRule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow.sdk import Context

    from airflow_registry_triggers.registry.poll import Poll

__all__ = ["RegistryPushSensor"]

HANDED_ON = "handed_on"


class RegistryPushSensor(SharedStateMixin, BaseSensorOperator):
    """
    Wait until a tag of a repository is new or points at another digest; give the list of notifications.

    What was handed on is remembered in Airflow's asset state store, per task, registry and repository. A try
    that is repeated, and a task that is cleared, give the same notifications again. A run whose conf has
    ``notification`` gives that, at once, and remembers nothing.

    A registry that is down, slow or limits requests is waited for until the sensor's own time-out. No such
    repository, a wrong password, a host that is no registry and a TLS fault fail the task for good, also with
    ``soft_fail``: that skips a wait that was in vain, and hides nothing that a person must mend.

    :param repository: ``team/app``, or with a host, ``ghcr.io/team/app`` (templated)
    :param registry_conn_id: an ``oci_registry``, ``docker`` or ``http`` Connection (templated)
    :param tags: at most 10 exact tags that are asked about (templated)
    :param tag_regex: RE2 expression for the whole tag (templated)
    :param first_run: ``baseline`` remembers what is there and says nothing; ``notify`` announces it
    :param deferrable: whether to wait in the triggerer, which holds no worker slot
    :param poke_interval: seconds between two polls
    :param retries: tries after a killed worker, default 3; Airflow's own default is none
    :param retry_delay: pause before such a try, default 5 s
    :raises ValueError: an argument that cannot work: when the Dag is parsed, where it is literal
    """

    template_fields: Sequence[str] = ("repository", "registry_conn_id", "tags", "tag_regex")
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        repository: str,
        registry_conn_id: str = RegistryHook.default_conn_name,
        tags: Sequence[str] | None = None,
        tag_regex: str | None = None,
        first_run: str = "baseline",
        deferrable: bool = False,
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
        self.first_run = first_run
        self.deferrable = deferrable
        self._polling: asyncio.Task[Poll] | None = None
        _check_literal(repository=repository, tags=tags, tag_regex=tag_regex, first_run=first_run)

    @classmethod
    def partial(cls, **kwargs: Any) -> Any:
        """Set up a mapped sensor; literal arguments are checked here: ``__init__`` is not called yet."""
        _check_literal(**{name: kwargs[name] for name in _CHECKED if name in kwargs})
        return super().partial(**kwargs)

    def execute(self, context: Context) -> Any:
        """Wait; see the class."""
        with self._faults_fail():
            if not self.deferrable:
                return super().execute(context)
            return self._poke_or_defer(context, time.time())

    def resume_execution(self, *args: Any, **kwargs: Any) -> Any:
        """Go on after a deferral."""
        with self._faults_fail():
            return super().resume_execution(*args, **kwargs)

    @contextmanager
    def _faults_fail(self) -> Iterator[None]:
        """Let ``soft_fail`` skip a wait that was in vain, but not hide what a person must mend."""
        try:
            yield
        except AirflowSkipException as skip:
            fault = skip.__cause__
            if isinstance(fault, RegistryFault | InvalidArgument) and not self.never_fail:
                raise fault from None
            raise

    def execute_complete(self, context: Context, event: Any = None, started_at: float = 0.0) -> Any:
        """
        Go on after the trigger fired: poll again and decide.

        :param context: Airflow's context
        :param event: what the trigger said
        :param started_at: when the wait began, seconds since the epoch
        """
        return self._poke_or_defer(context, started_at)

    def poke(self, context: Context) -> PokeReturnValue:
        """
        Poll once.

        :param context: Airflow's context
        """
        found = self._found(context)
        return PokeReturnValue(bool(found), found or None)

    def on_kill(self) -> None:
        """End a poll that is under way, so that its connections close."""
        polling = self._polling
        if polling is not None:
            polling.get_loop().call_soon_threadsafe(polling.cancel)

    def _poke_or_defer(self, context: Context, started_at: float) -> list[dict[str, Any]]:
        # The base class turns a time-out or failure into a skip where soft_fail or never_fail is set, in
        # execute() only; one poke of it is what that wants here.
        from airflow_registry_triggers.triggers.registry_push import RegistryChangeTrigger

        found = self._poke_as_base(context)
        if found:
            return found
        left = self.timeout - (time.time() - started_at)
        if left <= 0:
            self._time_out()
        return self.defer(
            trigger=RegistryChangeTrigger(
                repository=self.repository,
                registry_conn_id=self.registry_conn_id,
                tags=list(self.tags) if self.tags is not None else None,
                tag_regex=self.tag_regex,
                first_run=self.first_run,
                state_prefix=self._prefix(context, self._target()),
                poll_interval=self.poke_interval,
            ),
            method_name="execute_complete",
            kwargs={"started_at": started_at},
            timeout=timedelta(seconds=left),
        )

    def _poke_as_base(self, context: Context) -> list[dict[str, Any]] | None:
        try:
            return self.poke(context).xcom_value
        except AirflowFailException as error:
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"skipped instead of failed: {error}") from error
            raise
        except AirflowSkipException:
            raise
        except Exception:
            if self.never_fail:
                raise AirflowSkipException("skipped instead of failed; see the log above") from None
            if not self.silent_fail:
                raise
            self.log.exception("poll failed; silent_fail is set, so the wait goes on")
            return None

    def _time_out(self) -> None:
        text = f"no push to {self.repository} within {self.timeout:g} s"
        raise AirflowSkipException(text) if self.soft_fail else AirflowSensorTimeout(text)

    def _found(self, context: Context) -> list[dict[str, Any]]:
        given = notifications_of_conf(context)
        if given is not None:
            self.log.info("the run's conf has a notification: giving that, and remembering nothing")
            return given
        self._check_rendered()
        target = self._target()
        store = WatermarkStore(context["asset_state_store"][STATE_ASSET], self._prefix(context, target))
        memo = load_chunked(context["task_state_store"], HANDED_ON)
        if memo is None:
            memo = self._poll_and_remember(context, target, store)
        if memo:
            self._advance(store, memo)
        return memo or []

    def _poll_and_remember(
        self, context: Context, target: RegistryTarget, store: WatermarkStore
    ) -> list[dict[str, Any]] | None:
        """Poll; what is found is remembered before the watermark moves past it."""
        watermark = store.load()
        result = self._poll(target, watermark)
        if result is None:
            return None
        store.save(result.watermark_before, watermark)
        found = [notification.to_dict() for notification in result.notifications]
        if not found:
            return None
        self.log.info("%s: %d pushes", target.repository, len(found))
        save_chunked(context["task_state_store"], HANDED_ON, found)
        count_detected(len(found), SENSOR)
        return found

    def _poll(self, target: RegistryTarget, watermark: Any) -> Poll | None:
        async def run() -> Poll:
            self._polling = asyncio.ensure_future(target.poll(watermark, self._rule(), self.first_run))
            return await self._polling

        try:
            return asyncio.run(run())
        except RegistryError as error:
            text = f"Connection {self.registry_conn_id!r}, {target.base_url}, {error.kind}: {error}"
            if not error.transient:
                raise RegistryFault(text) from None
            self.log.warning("%s; waiting", text)
            return None
        finally:
            self._polling = None

    def _advance(self, store: WatermarkStore, found: list[dict[str, Any]]) -> None:
        """Move the watermark past what was handed on; forward only, so repeating it changes nothing."""
        events = [item["event"] for item in found]
        marks = [
            TagState(item["push_data"]["tag"], event["generation"], item["push_data"]["digest"])
            for item, event in zip(found, events, strict=True)
        ]
        watermark = store.load()
        store.save(watermark.advanced(marks, events[0]["epoch"]), watermark)

    def _rule(self) -> TagRule:
        return TagRule(tags=self.tags, tag_regex=self.tag_regex)

    def _target(self) -> RegistryTarget:
        try:
            return RegistryHook(self.registry_conn_id).target(self.repository)
        except ValueError as error:
            raise InvalidArgument(str(error)) from None

    def _prefix(self, context: Context, target: RegistryTarget) -> str:
        ti = context["ti"]
        parts: list[object] = [target.client().registry, target.repository]
        if ti.map_index is not None and ti.map_index >= 0:
            # Two instances of one mapped task may ask about the same repository with different rules.
            parts += [list(self.tags or []), self.tag_regex]
        return state_prefix("watermark", ti.dag_id, ti.task_id, *parts)

    def _check_rendered(self) -> None:
        try:
            RepositoryReference.parse(self.repository)
            self._rule()
        except ValueError as error:
            raise InvalidArgument(str(error)) from None


_CHECKED = ("repository", "tags", "tag_regex", "first_run")


def _check_literal(
    repository: Any = None, tags: Any = None, tag_regex: Any = None, first_run: Any = None
) -> None:
    if repository is not None and is_literal(repository):
        RepositoryReference.parse(repository)
    if is_literal([tags, tag_regex]):
        TagRule(tags=tags, tag_regex=tag_regex)
    if first_run is not None and first_run not in FIRST_RUNS:
        raise ValueError(f"first_run={first_run!r}: must be one of {', '.join(FIRST_RUNS)}")
