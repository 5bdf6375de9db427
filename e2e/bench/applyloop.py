"""The peer: a bare loop of concurrent server-side applies, nothing else."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from typing import Final

import aiohttp

from e2e.bench.fleet import children
from liveconnect.controller.adapters.kube import path
from liveconnect.controller.model.manifest import ObjectKey

_WORKERS: Final = 32
_QUERY: Final = {"fieldManager": "peer", "force": "true", "fieldValidation": "Strict"}
_HEADERS: Final = {"Content-Type": "application/apply-patch+yaml"}


async def apply_all(session: aiohttp.ClientSession, numbers: range) -> float:
    """Apply the children of so many objects; the seconds that it took.

    Rendering and encoding do not count: the peer has nothing else to do.

    Raises:
        RuntimeError: the API server refused one.
    """
    manifests = itertools.chain.from_iterable(children(number) for number in numbers)
    work = iter([(path(ObjectKey.of(m)), json.dumps(m).encode()) for m in manifests])
    began = time.perf_counter()
    await asyncio.gather(*(_worker(session, work) for _ in range(_WORKERS)))
    return time.perf_counter() - began


async def _worker(session: aiohttp.ClientSession, work: Iterator[tuple[str, bytes]]) -> None:
    for url, encoded in work:
        async with session.patch(url, data=encoded, params=_QUERY, headers=_HEADERS) as answer:
            await answer.read()
            if answer.status >= 300:
                raise RuntimeError(f"{url}: HTTP {answer.status}")
