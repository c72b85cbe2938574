# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""Configuration of the documentation site; ``make docs`` builds it."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from importlib.metadata import version as installed_version

# autodoc imports the package, and Airflow writes a configuration file where AIRFLOW_HOME points.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="registry-triggers-docs-")
os.environ.pop("AIRFLOW_CONFIG", None)
atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)

REPOSITORY = "https://github.com/airflow-registry-triggers/airflow-provider-registry-triggers"

project = "Registry triggers for Apache Airflow"
author = "The airflow-provider-registry-triggers authors"
project_copyright = author
version = release = installed_version("airflow-provider-registry-triggers")

extensions = ["myst_parser", "sphinx.ext.autodoc"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_inherit_docstrings = False
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = project
html_baseurl = "https://airflow-registry-triggers.github.io/airflow-provider-registry-triggers/"
html_copy_source = False
html_show_copyright = False
html_theme_options = {
    "source_repository": REPOSITORY,
    "source_branch": "main",
    "source_directory": "docs/",
}
