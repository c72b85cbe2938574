# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""What is shipped."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from airflow_registry_triggers import __version__

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "airflow_registry_triggers"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as opened:
        yield opened


def read(wheel, name):
    (full,) = (item for item in wheel.namelist() if item.endswith(f".dist-info/{name}"))
    return wheel.read(full).decode()


def test_wheel_when_built_contains_only_the_package(wheel):
    tops = {name.split("/")[0] for name in wheel.namelist()}
    assert tops == {PACKAGE, f"airflow_provider_registry_triggers-{__version__}.dist-info"}
    source = {
        str(path.relative_to(ROOT))
        for path in (ROOT / PACKAGE).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert source - set(wheel.namelist()) == set()
    assert f"{PACKAGE}/py.typed" in wheel.namelist()


def test_wheel_with_entry_points_names_the_provider_info(wheel):
    entry_points = read(wheel, "entry_points.txt")
    assert "[apache_airflow_provider]" in entry_points
    assert f"{PACKAGE}.get_provider_info:get_provider_info" in entry_points


def test_wheel_with_requirements_names_the_documented_ones(wheel):
    metadata = Parser().parsestr(read(wheel, "METADATA"))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == ">=3.11"
    requires = [item for item in metadata.get_all("Requires-Dist") if "extra ==" not in item]
    wanted = {re.split(r"[<>=~!]", item)[0].strip() for item in requires}
    assert wanted == {
        "apache-airflow", "apache-airflow-providers-http", "aiohttp", "google-re2", "idna", "jinja2", "pendulum", "pydantic", "pyyaml", "semver", "yarl"
    }  # fmt: skip
    assert set(metadata.get_all("Provides-Extra")) == {"alibaba", "amazon", "azure", "google"}
    design = (ROOT / "docs" / "contributing" / "design.md").read_text()
    assert all(
        name in design
        for name in ("aiohttp", "google-re2", "idna", "pendulum", "jinja2", "yarl", "providers-http")
    )


def test_extras_are_all_in_the_dependency_group_of_their_tests():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    assert {item for extra in extras for item in extra} == set(project["dependency-groups"]["cloud"])
