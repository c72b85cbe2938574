# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Fills a metadata database with triggers as a running Airflow leaves them: Dags, watchers, statuses, runs."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, select
from sqlalchemy.orm import Session

from airflow_registry_triggers.common.state_store import STATE_ASSET
from tests.browser.history_rows import HistoryRows, Task, record

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow.sdk import DAG

    from tests.harness.airflow_home import AirflowHome

BUNDLE = "dags-folder"


def status_row(*, at: float | None = None, **values: Any) -> list[Any]:
    """Give a stored watcher status; it polled a few seconds ago and found 214 tags."""
    from airflow_registry_triggers.watcher.status_values import WatcherStatus

    known: dict[str, Any] = {
        "polled_at": (at or time.time()) - 5,
        "next_in_s": 60.0,
        "tags": 214,
        "requests": 3,
    }
    return WatcherStatus(**{**known, **values}).to_list()


class TriggerRows:
    """
    Writes rows through Airflow's own tables.

    :param home: whose database; it must have been migrated
    """

    def __init__(self, home: AirflowHome) -> None:
        self.engine = create_engine(home.database)
        self.history = HistoryRows(home)
        self.queries: list[str] = []
        event.listen(self.engine, "before_cursor_execute", lambda *args: self.queries.append(args[2]))
        self._run = 0
        with self.session() as session:
            from airflow.models.dagbundle import DagBundleModel

            session.add(DagBundleModel(name=BUNDLE))
            session.commit()
        self.history._dags.add("")

    def session(self) -> Session:
        return Session(self.engine)

    def add_dags(self, *dags: DAG, unpaused: bool = True) -> None:
        """Parse Dags as the dag-processor does, with their assets and watchers."""
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

        bag = DagBag(dag_folder=os.devnull)
        for dag in dags:
            bag.bag_dag(dag)
        with self.session() as session:
            sync_bag_to_db(bag, BUNDLE, None, session=session)
            session.commit()
        names = {dag.dag_id for dag in dags}
        self.history._dags |= names
        if unpaused:
            # Watchers exist for Dags that are not paused, at the next parse.
            self.update_dags(names, is_paused=False)
            with self.session() as session:
                sync_bag_to_db(bag, BUNDLE, None, session=session)
                session.commit()

    def update_dags(self, dag_ids: Iterable[str], **values: Any) -> None:
        """Set columns of Dags."""
        from airflow.models.dag import DagModel
        from sqlalchemy import update

        with self.session() as session:
            session.execute(update(DagModel).where(DagModel.dag_id.in_(list(dag_ids))).values(**values))
            session.commit()

    def add_triggerer(self, *, age: float = 1.0, state: str = "running") -> int:
        """Add a triggerer and give it all watchers."""
        from airflow.jobs.job import Job
        from airflow.models.trigger import Trigger
        from sqlalchemy import insert, update

        at = datetime.now(UTC) - timedelta(seconds=age)
        with self.session() as session:
            values = {"job_type": "TriggererJob", "state": state, "latest_heartbeat": at, "hostname": "h"}
            job_id = session.execute(insert(Job.__table__).values(**values)).inserted_primary_key[0]
            session.execute(update(Trigger).values(triggerer_id=job_id))
            session.commit()
            return int(job_id)

    def age_watchers(self, seconds: float) -> None:
        """Let the Airflow triggers have been created earlier."""
        from airflow.models.trigger import Trigger
        from sqlalchemy import update

        with self.session() as session:
            session.execute(
                update(Trigger).values(created_date=datetime.now(UTC) - timedelta(seconds=seconds))
            )
            session.commit()

    def set_statuses(
        self, watchers: dict[str, Any], *, key: str = "watchers/host-1/0", age: float = 1.0
    ) -> None:
        """Store a status value; ``watchers`` has the stored form of each asset."""
        self.set_value(key, json.dumps({"at": time.time() - age, "parts": 1, "watchers": watchers}), age)

    def set_value(self, key: str, text: str, age: float = 1.0) -> None:
        """Store any text in the shared state."""
        from airflow.models.asset import AssetModel
        from airflow.models.asset_state_store import AssetStateStoreModel
        from sqlalchemy import delete, insert

        with self.session() as session:
            asset_id = session.scalar(select(AssetModel.id).where(AssetModel.name == STATE_ASSET.name))
            session.execute(delete(AssetStateStoreModel).where(AssetStateStoreModel.key == key))
            at = datetime.now(UTC) - timedelta(seconds=age)
            row = {"asset_id": asset_id, "key": key, "value": text, "updated_at": at}
            session.execute(insert(AssetStateStoreModel.__table__).values(**row))
            session.commit()

    def status_keys(self) -> list[str]:
        """Give the keys of all status values."""
        from airflow.models.asset_state_store import AssetStateStoreModel

        with self.session() as session:
            keys = session.scalars(select(AssetStateStoreModel.key).order_by(AssetStateStoreModel.key))
            return [key for key in keys if key.startswith("watchers/")]

    def add_run(
        self,
        dag_id: str,
        *statuses: str,
        state: str = "success",
        age: float = 60.0,
        delivered: str | None = None,
        task_id: str = "match",
        **values: Any,
    ) -> int:
        """
        Add a run: the records of its match, and of its delivery.

        :param statuses: statuses of the match
        :param state: state of the delivery
        :param delivered: status of the delivery, None for none
        """
        self._run += 1
        at = datetime.now(UTC) - timedelta(seconds=age)
        values = {"request_time": at.isoformat(timespec="milliseconds"), **values}
        tasks = []
        if statuses:
            records = [record(self._run, status=status, **values) for status in statuses]
            tasks.append(Task(dag_id, self._run, records, task_id=task_id, at=at))
        if delivered is not None:
            tasks.append(
                Task(dag_id, self._run, [record(self._run, status=delivered, **values)], state=state, at=at)
            )
        self.history.add(tasks)
        return self._run

    def add_sensor_run(
        self, dag_id: str, task_id: str, state: str, age: float, run_type: str = "scheduled"
    ) -> None:
        """Add a run in which a sensor ended in a state."""
        self._run += 1
        at = datetime.now(UTC) - timedelta(seconds=age)
        self.history.add([Task(dag_id, self._run, task_id=task_id, state=state, at=at)])
        self.history.execute(
            "UPDATE dag_run SET run_type = :kind WHERE id = :id", kind=run_type, id=self._run
        )
        self.history.execute(
            "UPDATE task_instance SET operator = 'RegistryPushSensor' WHERE task_id = :task", task=task_id
        )

    def retry_in(self, dag_id: str, seconds: float) -> None:
        """Let the delivery of a Dag wait for its next try, with the delay of the retry policy."""
        self.history.execute(
            "UPDATE task_instance SET state = 'up_for_retry', retry_delay_override = :seconds "
            "WHERE dag_id = :dag AND task_id = 'deliver'",
            seconds=seconds,
            dag=dag_id,
        )
