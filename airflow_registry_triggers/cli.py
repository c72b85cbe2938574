# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""The command ``airflow registry-triggers``. Each subcommand is imported when it runs."""

from __future__ import annotations

from airflow.cli.cli_config import ARG_VERBOSE, ActionCommand, Arg, GroupCommand, lazy_load_command

__all__ = ["get_cli_commands"]

_TIME = "ISO 8601, or an age: 15m, 6h, 7d"
_TEXT = "part of it, or =TEXT for the whole"

_OUTPUT = Arg(
    ("-o", "--output"),
    choices=("table", "json", "yaml"),
    default="table",
    metavar="(table, json, yaml)",
    help="format of the output (default: table)",
)
_FILES = Arg(("files",), metavar="FILE", nargs="+", help="trigger files")

_TEST_ARGUMENTS = (
    Arg(("file",), metavar="FILE", help="the trigger file"),
    Arg(("--tag",), help="the tag of a push"),
    Arg(("--repository",), help="only triggers that watch this repository"),
    Arg(("--trigger",), help="only this trigger"),
    Arg(("--registry",), action="store_true", help="request the tags of the registry, for one trigger"),
    _OUTPUT,
    ARG_VERBOSE,
)

_ARGUMENTS = (
    Arg(
        ("--status",),
        action="append",
        default=[],
        help="200, timeout, untriggered, ...; 2xx, error, verdict; repeat the option for several",
    ),
    Arg(
        ("--result",),
        action="append",
        default=[],
        help="failed, retrying, delivered, untriggered, ...; repeat the option for several",
    ),
    Arg(("--tests",), default="", help="records of tests: hide or only"),
    Arg(("--notification-id",), default="", help="all entries of the push with this id"),
    Arg(("--dag-id",), help="only of this Dag"),
    Arg(("--run-id",), help="only of this run"),
    Arg(("--task-id",), help="only of this task"),
    Arg(("--map-index",), type=int, help="only of this instance of a mapped task"),
    Arg(("--since",), help=f"entries stored at this time or later: {_TIME}"),
    Arg(("--until",), help=f"entries stored before this time: {_TIME}"),
    Arg(("--trigger",), default="", help=f"name of the trigger: {_TEXT}"),
    Arg(("--repository",), default="", help=f"name of the repository: {_TEXT}"),
    Arg(("--tag",), default="", help=f"the tag: {_TEXT}"),
    Arg(("--limit",), type=int, default=50, help="number of entries (default: 50)"),
    Arg(("--cursor",), help="start of the page: the cursor that the previous call printed"),
    Arg(("--bodies",), action="store_true", help="include headers and bodies (json and yaml)"),
    _OUTPUT,
    ARG_VERBOSE,
)  # fmt: skip

_STATES = (
    "broken",
    "paused",
    "not_watched",
    "registry_error",
    "storm",
    "baseline",
    "untriggered",
    "delivery",
    "ok",
)

_STATUS_ARGUMENTS = (
    Arg(
        ("--state",),
        action="append",
        default=[],
        choices=_STATES,
        metavar="STATE",
        help=f"{', '.join(_STATES)}; repeat the option for several",
    ),
    Arg(("--dag-id",), help="only of this Dag"),
    Arg(("--problems",), action="store_true", help="only problems; exit code 1 if there is one"),
    _OUTPUT,
    ARG_VERBOSE,
)  # fmt: skip

_FILE_COMMAND = "airflow_registry_triggers.trigger_file.command"


def get_cli_commands() -> list[GroupCommand]:
    """Return the commands for Airflow's command line."""
    return [
        GroupCommand(
            name="registry-triggers",
            help="Container registry triggers",
            subcommands=(
                ActionCommand(
                    name="access-log",
                    help="List the access log: verdicts and deliveries, newest first",
                    description=(
                        "List the access log, newest first. Like other commands of Airflow, it reads the "
                        "metadata database: every user who may run it sees the records of all Dags."
                    ),
                    func=lazy_load_command("airflow_registry_triggers.access_log.command.access_log"),
                    args=_ARGUMENTS,
                ),
                ActionCommand(
                    name="status",
                    help="List the triggers, each with its state as one sentence",
                    description=(
                        "List the triggers, sorted by state and name. Times are in UTC. Like other commands "
                        "of Airflow, it reads the metadata database: every user who may run it sees all Dags."
                    ),
                    func=lazy_load_command("airflow_registry_triggers.overview.command.status"),
                    args=_STATUS_ARGUMENTS,
                ),
                *_file_commands(),
            ),
        )
    ]


def _file_commands() -> tuple[ActionCommand, ...]:
    """Return the commands for trigger files, none of which reads the metadata database."""
    return (
        ActionCommand(
            name="check",
            help="Check trigger files: print all problems, exit with 1 if there is one",
            func=lazy_load_command(f"{_FILE_COMMAND}.check"),
            args=(_FILES, ARG_VERBOSE),
        ),
        ActionCommand(
            name="list",
            help="List the triggers of files",
            func=lazy_load_command(f"{_FILE_COMMAND}.list_triggers"),
            args=(_FILES, _OUTPUT, ARG_VERBOSE),
        ),
        ActionCommand(
            name="test",
            help="Test a tag, or the tags of a registry, with the triggers of a file",
            description="Exits with 1 if nothing matches. Nothing runs and nothing is sent to a receiver.",
            func=lazy_load_command(f"{_FILE_COMMAND}.test"),
            args=_TEST_ARGUMENTS,
        ),
        ActionCommand(
            name="schema",
            help="Print the JSON schema of trigger files",
            func=lazy_load_command(f"{_FILE_COMMAND}.schema"),
            args=(ARG_VERBOSE,),
        ),
    )
