# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The command ``airflow registry-triggers``; what it runs is imported when it runs."""

from __future__ import annotations

from airflow.cli.cli_config import ARG_VERBOSE, ActionCommand, Arg, GroupCommand, lazy_load_command

__all__ = ["get_cli_commands"]

_TIME = "ISO 8601, or how long ago: 15m, 6h, 7d"
_TEXT = "a part of it; =NAME for the whole"

_ARGUMENTS = (
    Arg(
        ("--status",),
        action="append",
        default=[],
        help="200, timeout, untriggered, ...; 2xx, error, verdict; may be given several times",
    ),
    Arg(("--dag-id",), help="only of this Dag"),
    Arg(("--run-id",), help="only of this run"),
    Arg(("--task-id",), help="only of this task"),
    Arg(("--map-index",), type=int, help="only of this instance of a mapped task"),
    Arg(("--since",), help=f"written at this time or later: {_TIME}"),
    Arg(("--until",), help=f"written before this time: {_TIME}"),
    Arg(("--trigger",), default="", help=f"name of the trigger: {_TEXT}"),
    Arg(("--repository",), default="", help=f"name of the repository: {_TEXT}"),
    Arg(("--tag",), default="", help=f"the tag: {_TEXT}"),
    Arg(("--limit",), type=int, default=50, help="entries after which to end (default: 50)"),
    Arg(("--cursor",), help="where to go on: what an earlier call said"),
    Arg(("--bodies",), action="store_true", help="with headers and bodies (json and yaml)"),
    Arg(
        ("-o", "--output"),
        choices=("table", "json", "yaml"),
        default="table",
        metavar="(table, json, yaml)",
        help="format of the output (default: table)",
    ),
    ARG_VERBOSE,
)  # fmt: skip


def get_cli_commands() -> list[GroupCommand]:
    """Give the commands, for Airflow's command line."""
    return [
        GroupCommand(
            name="registry-triggers",
            help="Container registry triggers",
            subcommands=(
                ActionCommand(
                    name="access-log",
                    help="List the access history: verdicts and deliveries, newest first",
                    description=(
                        "List the access history, newest first. It reads the metadata database, like "
                        "other commands of Airflow: whoever may run it sees the records of every Dag."
                    ),
                    func=lazy_load_command("airflow_registry_triggers.access_log.command.access_log"),
                    args=_ARGUMENTS,
                ),
            ),
        )
    ]
