"""Hooks over HTTPS with a private authority (webhooks.md, *Configuration*)."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest
import trustme

from tests.contract.broker.hookserver import HookServer
from tests.contract.broker.node import Node, connack

HOST = "127.0.0.1"
REFUSED = 5


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("cafile", "use_crls = off"), 0),
        (("cafile",), REFUSED),
        (("use_crls = off",), REFUSED),
        (("verify_peer = off", "use_crls = off"), 0),
    ],
)
def test_the_authority_and_no_revocation_lists_are_needed(
    tmp_path: Path, options: Sequence[str], code: int
) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(HOST).configure_cert(context)
    (tmp_path / "ca.crt").write_bytes(authority.cert_pem.bytes())
    given = [o if o != "cafile" else f"cafile = {tmp_path / 'ca.crt'}" for o in options]
    hooks = HookServer(tls=context)
    node = Node("127.0.77.1", tmp_path / "a", hooks.url, extra=[f"vmq_webhooks.{o}" for o in given])
    node.start()
    try:
        assert connack(node.address, 4, "phone-1") == code
    finally:
        node.stop()
        hooks.close()
