"""The customer's app: shows the status of all her orders as it changes.

python -m e2e.usecases.orders.phone phone-1 --customer 42 --host … --port … --token-file …
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from paho.mqtt.client import MQTTMessage

from e2e.usecases import commandline
from e2e.usecases.device import Device


@dataclass(frozen=True)
class Shown:
    """A status on the screen."""

    order: str
    status: str
    at: float
    """Monotonic seconds."""


class OrderScreen:
    """What the customer sees."""

    def __init__(self, device: Device, customer: str) -> None:
        """Listen to a customer's orders; the device's token must be hers.

        Args:
            device: not yet started.
            customer: whose orders.
        """
        self.device = device
        self.shown: list[Shown] = []
        device.listen(f"orders/{customer}/+/status", self._show)

    def status(self, order: str) -> str | None:
        """Return the newest status of an order."""
        return next((s.status for s in reversed(self.shown) if s.order == order), None)

    def _show(self, message: MQTTMessage) -> None:
        order = message.topic.split("/")[2]
        status = json.loads(message.payload)["status"]
        # QoS 1: the same status may come twice.
        if self.status(order) != status:
            self.shown.append(Shown(order, status, time.monotonic()))
            print(f"order {order}: {status}", flush=True)


def main() -> None:
    """Show orders until it is interrupted."""
    parser = commandline.parser("Shows the status of a customer's orders.")
    parser.add_argument("--customer", required=True)
    arguments = parser.parse_args()
    device = commandline.device(arguments)
    OrderScreen(device, arguments.customer)
    commandline.run(device)


if __name__ == "__main__":
    main()
