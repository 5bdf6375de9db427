"""Keys that are discovered from the issuer, over real HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from liveconnect.common.jwks import KeySetError
from liveconnect.common.keysources import MAX_DOCUMENT_BYTES, DiscoveredKeySource


class Provider:
    """An issuer on a free port."""

    def __init__(self) -> None:
        self.metadata: dict[str, object] | bytes = {}
        self.status = 200
        app = web.Application()
        app.router.add_get("/tenant/.well-known/openid-configuration", self._metadata)
        app.router.add_get("/keys", self._keys)
        app.router.add_get("/moved", self._moved)
        self.server = TestServer(app)

    @property
    def issuer(self) -> str:
        return str(self.server.make_url("/tenant"))

    def url(self, path: str) -> str:
        return str(self.server.make_url(path))

    async def _metadata(self, _request: web.Request) -> web.Response:
        body = self.metadata if isinstance(self.metadata, bytes) else json.dumps(self.metadata)
        return web.Response(body=body, status=self.status)

    async def _keys(self, _request: web.Request) -> web.Response:
        return web.Response(body=b'{"keys":[]}')

    async def _moved(self, _request: web.Request) -> web.Response:
        raise web.HTTPFound("/keys")


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    await made.server.start_server()
    made.metadata = {"issuer": made.issuer, "jwks_uri": made.url("/keys"), "more": [1]}
    yield made
    await made.server.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def test_the_keys_are_where_the_metadata_says(
    provider: Provider, session: aiohttp.ClientSession
) -> None:
    source = DiscoveredKeySource(session, provider.issuer)
    assert await source.fetch() == b'{"keys":[]}'


async def test_metadata_of_another_issuer_is_not_believed(
    provider: Provider, session: aiohttp.ClientSession
) -> None:
    provider.metadata = {"issuer": "https://other", "jwks_uri": provider.url("/keys")}
    with pytest.raises(KeySetError, match="another issuer"):
        await DiscoveredKeySource(session, provider.issuer).fetch()


@pytest.mark.parametrize(
    "metadata",
    [b"", b"[]", b"{}", b'{"issuer": 1, "jwks_uri": 2}', b"x" * (MAX_DOCUMENT_BYTES + 1)],
)
async def test_what_is_no_metadata(
    provider: Provider, session: aiohttp.ClientSession, metadata: bytes
) -> None:
    provider.metadata = metadata
    with pytest.raises(KeySetError):
        await DiscoveredKeySource(session, provider.issuer).fetch()


async def test_redirects_are_not_followed(
    provider: Provider, session: aiohttp.ClientSession
) -> None:
    provider.metadata = {"issuer": provider.issuer, "jwks_uri": provider.url("/moved")}
    with pytest.raises(KeySetError, match="HTTP 302"):
        await DiscoveredKeySource(session, provider.issuer).fetch()


async def test_a_secure_issuer_has_secure_keys(session: aiohttp.ClientSession) -> None:
    source = DiscoveredKeySource(session, "https://login.example")
    document = b'{"issuer": "https://login.example", "jwks_uri": "http://login.example/keys"}'
    with pytest.raises(KeySetError, match="not https"):
        source._keys_url(document)


async def test_an_issuer_that_is_away(provider: Provider, session: aiohttp.ClientSession) -> None:
    source = DiscoveredKeySource(session, provider.issuer)
    provider.status = 500
    with pytest.raises(KeySetError, match="HTTP 500"):
        await source.fetch()
    await provider.server.close()
    with pytest.raises(KeySetError):
        await source.fetch()
