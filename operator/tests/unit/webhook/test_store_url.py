"""The store's URL."""

from __future__ import annotations

import pytest

from liveconnect.webhook.adapters.store_url import StoreUrl, StoreUrlError, Topology


def test_one_server() -> None:
    url = StoreUrl.parse(" redis://:pa%2Fss@valkey.shop.svc:6380/3\n")
    assert (url.topology, url.tls, url.hosts) == (
        Topology.SINGLE,
        False,
        (("valkey.shop.svc", 6380),),
    )
    assert (url.username, url.password, url.database) == (None, "pa/ss", 3)
    assert StoreUrl.parse("rediss://user:x@[::1]").hosts == (("::1", 6379),)
    assert StoreUrl.parse("rediss://user:x@[::1]").tls


def test_sentinel() -> None:
    url = StoreUrl.parse(
        "rediss+sentinel://app:secret@a,b:26380,[::1]/my%20master/2"
        "?sentinelUsername=s&sentinelPassword=p%40ss"
    )
    assert (url.topology, url.tls, url.service, url.database) == (
        Topology.SENTINEL,
        True,
        "my master",
        2,
    )
    assert url.hosts == (("a", 26379), ("b", 26380), ("::1", 26379))
    assert (url.sentinel_username, url.sentinel_password) == ("s", "p@ss")


def test_cluster() -> None:
    url = StoreUrl.parse("redis+cluster://app:secret@a:7000,b:7001")
    assert (url.topology, url.hosts) == (Topology.CLUSTER, (("a", 7000), ("b", 7001)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "valkey:6379",
        "http://valkey",
        "redis+cloud://valkey",
        "redis://",
        "redis://:secret@",
        "redis://:secret@a:99999",
        "redis://:secret@a:port",
        "redis://:secret@a/zero",
        "redis://:secret@a/0/1",
        "redis+sentinel://:secret@a",
        "redis+cluster://:secret@a/1",
        "redis+cluster://:secret@a,,b",
        "redis://:secret@[::1",
    ],
)
def test_what_cannot_be_used_is_said_without_the_password(text: str) -> None:
    with pytest.raises(StoreUrlError) as error:
        StoreUrl.parse(text)
    assert "secret" not in str(error.value)


def test_a_url_is_not_printed() -> None:
    assert "secret" not in repr(StoreUrl.parse("redis://:secret@a"))
