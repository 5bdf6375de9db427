"""A node that does not answer is asked ever more rarely."""

from __future__ import annotations

import asyncio

import aiohttp

from liveconnect.controller.adapters.broker import HttpBrokers
from liveconnect.controller.model.credentials import ApiKeys
from liveconnect.controller.model.observed import BrokerView, PodView, Pool

KEYS = ApiKeys("key")


class Counting(HttpBrokers):
    """Counts how often a node is asked; none answers."""

    asked = 0

    async def _view(self, pod: PodView, keys: ApiKeys) -> BrokerView:  # noqa: ARG002 - as there
        self.asked += 1
        return BrokerView(pod=pod.name, problem="silence")


def pod(version: str) -> PodView:
    return PodView(name="demo-subscriber-0", pool=Pool.SUBSCRIBER, ip="192.0.2.1", ready=False,
                   deleting=False, uid="u", version=version)  # fmt: skip


class Clock:
    """The event loop's clock, by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def time(self) -> float:
        return self.now


async def test_silence_is_respected_until_the_pod_changes() -> None:
    loop, clock = asyncio.get_running_loop(), Clock()
    real, loop.time = loop.time, clock.time  # type: ignore[method-assign]  # the test's own clock
    try:
        async with aiohttp.ClientSession() as session:
            brokers = Counting(session)
            for _ in range(3600):
                view = await brokers.observe([pod("1")], KEYS)
                assert view["demo-subscriber-0"].problem == "silence"
                clock.now += 1
            hourly = brokers.asked
            await brokers.observe([pod("2")], KEYS)
            assert brokers.asked == hourly + 1
            clock.now += 1
            await brokers.observe([pod("2")], KEYS)
            assert brokers.asked == hourly + 2
    finally:
        loop.time = real  # type: ignore[method-assign]
    # Often in the beginning, once a minute in the end.
    assert 60 < hourly < 120
