# SPDX-License-Identifier: Apache-2.0
# Part of airflow-provider-registry-triggers.
"""TLS for receivers. Verification cannot be turned off."""

from __future__ import annotations

import os
import ssl
from functools import lru_cache

__all__ = ["client_context"]


def client_context(ca_file: str | None = None) -> ssl.SSLContext:
    """
    Return the TLS context: 1.2 or newer, certificates verified, names only from subjectAltName.

    Reading the system's certificates takes tens of milliseconds, so contexts are cached for each version of
    a file.

    :param ca_file: PEM file of certificates to trust instead of the system's
    :raises ValueError: the file cannot be read, or contains no certificate
    """
    if ca_file is None:
        return _context(None, 0)
    try:
        return _context(ca_file, os.stat(ca_file).st_mtime_ns)
    except (OSError, ssl.SSLError, ValueError) as error:
        detail = error.strerror if isinstance(error, OSError) else "the path is not valid"
        raise ValueError(
            f"ca_file {ca_file!r} cannot be read: {detail}. Set it to a PEM file of certificates"
        ) from None


@lru_cache(maxsize=32)
def _context(ca_file: str | None, mtime_ns: int) -> ssl.SSLContext:
    # Not ssl.create_default_context: it writes session keys to the file that SSLKEYLOGFILE names.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    if ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(cafile=ca_file)
    return context
