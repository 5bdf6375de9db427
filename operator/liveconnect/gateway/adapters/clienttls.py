"""The client's end of TLS, from files that are replaced in place."""

from __future__ import annotations

import ssl

from liveconnect.api.operands import ClientTls


def tls_context(files: ClientTls | None) -> ssl.SSLContext | None:
    """Read the files, as they are now; None without TLS.

    Raises:
        OSError: a file is missing, or is not what it should be (`ssl.SSLError` is one).
    """
    if files is None:
        return None
    context = ssl.create_default_context(cafile=files.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if files.certificate_file is not None:
        context.load_cert_chain(files.certificate_file, files.key_file)
    return context
