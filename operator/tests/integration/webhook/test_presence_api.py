"""One, many, pages, counts, history, and changes without gaps, through a real store."""

from __future__ import annotations

import http.client
import json
import signal
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.integration.webhook.world import (
    BACKEND,
    READER,
    Answer,
    Service,
    World,
    eventually,
    running_service,
)

NODES = ("demo-subscriber-0", "demo-subscriber-1")


def ask(world: World, path: str, body: Any = None, *, service: Service | None = None) -> Answer:
    content = None if body is None else json.dumps(body).encode()
    method = "GET" if body is None else "POST"
    bearer = f"Bearer {world.backend(READER)}"
    return (service or world.service).request(method, path, content, Authorization=bearer)


def fill(world: World, prefix: str, count: int) -> list[str]:
    """Clients on two nodes by turns; every third has gone again."""
    names = [f"{prefix}{number:03}" for number in range(count)]
    for number, name in enumerate(names):
        world.service.presence("on_register", name, NODES[number % 2])
        if number % 3 == 0:
            world.service.presence("on_client_gone", name, NODES[number % 2])
    eventually(lambda: ask(world, "/v1/clients/" + quote(names[-1], safe="")).status == 200)
    return names


def pages(world: World, query: str, limit: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = ask(world, f"/v1/clients?{query}&limit={limit}{cursor}")
        assert answer.status == 200, answer
        page = answer.json
        assert len(page["items"]) <= limit
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_pages(own_world: World, limit: int) -> None:
    names = fill(own_world, "ü/", 30)
    fill(own_world, "other-", 5)
    found = pages(own_world, f"prefix={quote('ü/')}", limit)
    assert sorted(item["clientId"] for item in found) == names
    online = pages(own_world, f"prefix={quote('ü/')}&state=online&node={NODES[1]}", limit)
    assert {(item["state"], item["node"]) for item in online} == {("online", NODES[1])}
    assert len(online) == 10
    assert set(found[0]) == {"clientId", "state", "node", "since", "lastSeen"}


def join(world: World, client_id: str, *groups: str) -> None:
    """Connect with a token that names groups."""
    token = world.device(client_id, groups=list(groups))
    assert world.service.connect(token, client_id)["result"] == "ok"
    world.service.presence("on_register", client_id, NODES[0])


def members(world: World, query: str, limit: int = 2) -> list[str]:
    return [item["clientId"] for item in pages(world, query, limit)]


def test_members_of_a_group(own_world: World) -> None:
    """A client is in the groups that its last token named, online or not."""
    world = own_world
    for number in range(7):
        join(world, f"truck-{number}", "drivers", "Fahrer/ü")
    join(world, "car", "drivers")
    join(world, "phone")
    trucks = [f"truck-{number}" for number in range(7)]
    eventually(lambda: members(world, "group=drivers") == ["car", *trucks])
    assert members(world, "group=drivers&prefix=truck", 3) == trucks
    assert members(world, f"group={quote('Fahrer/ü', safe='')}", 1000) == trucks
    assert members(world, "group=nobody") == []
    world.service.presence("on_client_gone", "truck-3", NODES[0])
    join(world, "truck-4", "Fahrer/ü")
    join(world, "truck-5")
    left = ["car", *(one for one in trucks if one not in {"truck-4", "truck-5"})]
    eventually(lambda: members(world, "group=drivers") == left)
    states = {one["clientId"]: one["state"] for one in pages(world, "group=drivers", 100)}
    assert (states["truck-3"], states["truck-2"]) == ("offline", "online")


def test_counts(own_world: World) -> None:
    fill(own_world, "c", 30)
    counts = ask(own_world, "/v1/counts").json
    assert (counts["online"], counts["offline"], counts["unknown"]) == (20, 10, 0)
    assert counts["nodes"][NODES[0]] == {"online": 10, "offline": 5}
    assert counts["auditedAt"] is None  # this service knows no brokers


def test_many_at_once(world: World) -> None:
    names = fill(world, "many", 4)
    answer = ask(world, "/v1/lookups", {"clientIds": [*names, names[0], "never-seen"]})
    assert [item["clientId"] for item in answer.json["items"]] == names
    assert answer.json["missing"] == ["never-seen"]


def test_history(world: World) -> None:
    for hook, node in [("on_register", "a"), ("on_client_gone", "a"), ("on_register", "b")]:
        world.service.presence(hook, "h/1", node)

    def steps() -> list[tuple[str, str]]:
        answer = ask(world, f"/v1/clients/{quote('h/1', safe='')}/history")
        if answer.status != 200:
            return []
        return [(step["state"], step["node"]) for step in answer.json["changes"]]

    eventually(lambda: steps() == [("online", "b"), ("offline", "a"), ("online", "a")])
    assert ask(world, "/v1/clients/never-seen/history").status == 404


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("/v1/clients?limit=0", None, "limit"),
        ("/v1/clients?limit=1001", None, "limit"),
        ("/v1/clients?limit=%C2%B2", None, "limit"),
        ("/v1/clients?cursor=nonsense", None, "cursor"),
        ("/v1/clients?state=gone", None, "state"),
        ("/v1/clients?group=", None, "group"),
        ("/v1/clients?group=a&state=online", None, "group"),
        ("/v1/clients?group=a&cursor=WyJvbmxpbmU6YSIsMCwiIl0", None, "cursor"),
        ("/v1/clients?cursor=WyJncm91cCIsMCwiIl0", None, "cursor"),
        ("/v1/clients?state=online&state=offline", None, "once"),
        ("/v1/clients?colour=red", None, "colour"),
        ("/v1/clients?prefix=%FF", None, "UTF-8"),
        ("/v1/changes?from=1", None, "place"),
        ("/v1/lookups", {}, "clientIds"),
        ("/v1/lookups", {"clientIds": []}, "clientIds"),
        ("/v1/lookups", {"clientIds": ["x"] * 1001}, "clientIds"),
        ("/v1/lookups", {"clientIds": [1]}, "clientIds"),
    ],
)
def test_wrong_questions_are_problems_that_name_what_is_wrong(
    world: World, path: str, body: Any, word: str
) -> None:
    answer = ask(world, path, body)
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert word in answer.json["detail"]


@pytest.mark.parametrize(
    "path", ["/v1/clients", "/v1/counts", "/v1/changes", "/v1/clients/x", "/v1/clients/x/history"]
)
def test_only_readers(world: World, path: str) -> None:
    assert world.service.request("GET", path).status == 401
    for token in (world.backend(BACKEND), world.device()):
        assert world.service.request("GET", path, Authorization=f"Bearer {token}").status == 403
    assert world.service.request("DELETE", path).status == 405


def test_a_store_that_is_away_is_a_503_that_says_when_to_come_back(own_world: World) -> None:
    own_world.redis.stop()
    for path in ("/v1/clients", "/v1/counts", "/v1/changes", "/v1/clients/x/history"):
        answer = ask(own_world, path)
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")


class Follower:
    """A client of the stream; reads it with the standard library."""

    def __init__(self, world: World, query: str = "", last: str = "", port: int = 0) -> None:
        address = urlsplit(world.service.url)
        self._connection = http.client.HTTPConnection(
            "127.0.0.1", port or address.port or 0, timeout=20
        )
        headers = {"Authorization": f"Bearer {world.backend(READER)}"}
        if last:
            headers["Last-Event-ID"] = last
        self._connection.request("GET", f"/v1/changes{query}", headers=headers)
        self.answer = self._connection.getresponse()
        self.last = last

    def events(self) -> Iterator[dict[str, Any]]:
        """What comes, until the stream ends."""
        for line in self.answer:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name == "id":
                self.last = value
            elif name == "data":
                yield json.loads(value)

    def read_ids(self, count: int) -> list[str]:
        """The client ids of so many events."""
        events = self.events()
        return [next(events)["clientId"] for _ in range(count)]

    def close(self) -> None:
        """Go away without a word."""
        self._connection.close()


def test_changes_are_followed_without_gaps_over_any_replica(own_world: World) -> None:
    world = own_world
    page = ask(world, "/v1/clients").json
    names = fill(world, "f", 10)
    wanted = [name for number, name in enumerate(names) for _ in range(2 - bool(number % 3))]
    with closing(Follower(world, f"?from={page['changesFrom']}")) as follower:
        assert follower.answer.headers["Content-Type"] == "text/event-stream"
        seen = follower.read_ids(5)
        last = follower.last
    with running_service(world.folder, world.folder / "config.json") as other:
        world.service.presence("on_client_gone", names[1], NODES[1])
        port = urlsplit(other.url).port or 0
        with closing(Follower(world, last=last, port=port)) as follower:
            seen += follower.read_ids(len(wanted) - 5 + 1)
    assert seen == [*wanted, names[1]]


def test_a_follower_sees_what_it_asked_for(own_world: World) -> None:
    with closing(Follower(own_world, f"?state=offline&node={NODES[0]}&prefix=x")) as follower:
        fill(own_world, "w", 6)
        fill(own_world, "x", 7)
        events = follower.events()
        first = next(events)
        assert (first["clientId"], first["state"], first["node"]) == ("x000", "offline", NODES[0])
        assert next(events)["clientId"] == "x006"


def test_a_follower_that_was_away_too_long_is_told(own_world: World) -> None:
    world = own_world
    fill(world, "g", 1)
    with closing(Follower(world)) as follower:
        world.service.presence("on_register", "late", NODES[0])
        follower.read_ids(1)
        last = follower.last
    world.redis.lose_everything()
    answer = eventually(
        lambda: world.service.request(
            "GET",
            "/v1/changes",
            Authorization=f"Bearer {world.backend(READER)}",
            Last_Event_ID=last,
        )
    )
    assert answer.status == 410
    assert "changesFrom" in answer.json["detail"]


def test_a_follower_outlives_an_outage_of_the_store(own_world: World) -> None:
    world = own_world
    with closing(Follower(world)) as follower:
        world.service.presence("on_register", "before", NODES[0])
        assert follower.read_ids(1) == ["before"]
        world.redis.stop(signal.SIGKILL)
        world.service.presence("on_register", "meanwhile", NODES[0])
        world.redis.start()
        assert follower.read_ids(1) == ["meanwhile"]


def test_streams_end_when_the_service_does(own_world: World) -> None:
    with closing(Follower(own_world)) as follower:
        own_world.service.process.send_signal(signal.SIGTERM)
        assert list(follower.events()) == []
        assert own_world.service.process.wait(10) == 0


def test_many_followers_of_whom_some_do_not_read(own_world: World) -> None:
    world = own_world
    followers = [Follower(world) for _ in range(20)]
    fill(world, "m", 50)
    for follower in followers[::2]:
        follower.close()
    for follower in followers[1::2]:
        assert len(follower.read_ids(60)) == 60
        follower.close()
    assert world.service.connect(world.device())["result"] == "ok"
