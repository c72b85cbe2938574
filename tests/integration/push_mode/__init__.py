# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
