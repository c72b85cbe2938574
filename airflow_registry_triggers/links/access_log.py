# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The link from a task instance to its entries in the access log."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

__all__ = ["AccessLogLink"]

PAGE_ROUTE = "access-log"


class AccessLogLink(BaseOperatorLink):
    """Link to the view "Access log", filtered by the task instance."""

    name = "Access Log"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """
        Return the address of the page in Airflow's UI.

        :param ti_key: the task instance
        """
        from airflow.sdk.configuration import conf

        # Only the path: the browser knows the host better than a worker does.
        root = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
        filters = {"dag_id": ti_key.dag_id, "run_id": ti_key.run_id, "task_id": ti_key.task_id}
        if ti_key.map_index is not None and ti_key.map_index >= 0:
            filters["map_index"] = str(ti_key.map_index)
        return f"{root}/plugin/{PAGE_ROUTE}?{urlencode(filters)}"
