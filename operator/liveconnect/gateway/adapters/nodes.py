"""Which publisher node a connection goes to.

The pods of the gateway take the ready nodes in turn, so that all of them have work; a connection
that fails goes to the next one. A Service's address would leave that to chance.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence


def chosen(addresses: Sequence[str], turn: int) -> str:
    """Return the address whose turn it is; all processes have them in the same order."""
    ordered = sorted(set(addresses))
    return ordered[turn % len(ordered)]


async def node_address(nodes: str, otherwise: str, turn: int) -> str:
    """Return the address of a node.

    Args:
        nodes: host name that resolves to every ready node; empty if there is none such.
        otherwise: host name that is returned if that does not resolve.
        turn: whose turn it is.
    """
    if not nodes:
        return otherwise
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(nodes, None, type=socket.SOCK_STREAM)
    except OSError:
        return otherwise
    return chosen([str(entry[4][0]) for entry in found], turn) if found else otherwise
