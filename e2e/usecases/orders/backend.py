"""The shop: says when an order's status changes. One HTTP call for each change."""

from __future__ import annotations

from dataclasses import dataclass

from liveconnect.client import Client, Message, Receipt

_KEPT_SECONDS = 24 * 3600


@dataclass(frozen=True)
class Order:
    """An order, and whose it is."""

    customer: str
    number: str


class Shop:
    """Tells customers about their orders."""

    def __init__(self, liveconnect: Client) -> None:
        self._liveconnect = liveconnect

    def update(self, order: Order, status: str) -> Receipt:
        """Push a status to whoever looks at the order, now or later.

        Retained: an app that is opened later gets the newest status with its subscription, and
        needs no call for it, either. QoS 1: an app that is away for a while gets what it missed.
        """
        message = Message(
            topic=f"orders/{order.customer}/{order.number}/status",
            payload={"status": status},
            retain=True,
            # The same status pushed twice is no harm; one that is a day old is of no use.
            message_expiry_seconds=_KEPT_SECONDS,
        )
        return self._liveconnect.publish(message)
