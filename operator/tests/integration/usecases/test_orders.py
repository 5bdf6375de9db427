"""Order status: pushed, and what polling would have cost."""

from __future__ import annotations

import time

from e2e.usecases.orders.backend import Order, Shop
from e2e.usecases.orders.phone import OrderScreen
from e2e.usecases.orders.polling import View, polling_calls
from liveconnect.client import Client
from tests.integration.usecases.conftest import Counting, MakeDevice, start
from tests.integration.webhook.world import eventually

_STATUSES = ["received", "cooking", "cooked", "on its way", "delivered"]
_GAP_SECONDS = 0.2
_POLL_SECONDS = 10.0
_STORY_SECONDS_PER_SECOND = 2400
"""One second here stands for 40 minutes there: an order takes about half an hour."""


def test_every_status_is_shown_with_a_call_for_each_change_only(
    liveconnect: Client, http: Counting, device: MakeDevice
) -> None:
    shop = Shop(liveconnect)
    orders = [Order(f"customer-{number}", f"o-{number}") for number in range(10)]
    screens = [OrderScreen(device(f"orders-{o.customer}"), o.customer) for o in orders]
    opened = time.monotonic()
    start(*(screen.device for screen in screens))
    for status in _STATUSES:
        due = time.monotonic() + _GAP_SECONDS
        for order in orders:
            shop.update(order, status)
        eventually(lambda due=due: time.monotonic() >= due)  # type: ignore[misc]  # mypy cannot infer a lambda's default
        eventually(
            lambda status=status: all(  # type: ignore[misc]  # as above
                s.status(o.number) == status for s, o in zip(screens, orders, strict=True)
            )
        )
    closed = time.monotonic()

    assert all([s.status for s in screen.shown] == _STATUSES for screen in screens)
    views = [View(opened, closed)] * len(screens)
    polled = polling_calls(views, _POLL_SECONDS / _STORY_SECONDS_PER_SECOND)
    print(f"HTTP calls: {http.calls} pushed, {polled} polled every {_POLL_SECONDS:g} s")
    assert http.calls == len(orders) * len(_STATUSES)
    assert polled >= 20 * http.calls


def test_an_app_that_is_opened_later_sees_the_newest_status_at_once(
    liveconnect: Client, http: Counting, device: MakeDevice
) -> None:
    shop, order = Shop(liveconnect), Order("late", "o-late")
    for status in _STATUSES[:3]:
        shop.update(order, status)
    screen = OrderScreen(device("orders-late"), order.customer)
    start(screen.device)
    eventually(lambda: screen.status(order.number) == "cooked")
    assert len(screen.shown) == 1
    assert http.calls == 3


def test_an_app_in_a_tunnel_sees_what_it_missed(liveconnect: Client, device: MakeDevice) -> None:
    shop, order = Shop(liveconnect), Order("tunnel", "o-tunnel")
    screen = OrderScreen(device("orders-tunnel"), order.customer)
    start(screen.device)
    screen.device.drop_network()
    for status in _STATUSES:
        shop.update(order, status)
    eventually(lambda: screen.status(order.number) == "delivered")
    assert [s.status for s in screen.shown] == _STATUSES
