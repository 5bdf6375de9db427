"""A bare paho client that publishes one message (QoS 1) to each client.

Prints when it began (seconds since the epoch); ends when all are acknowledged.

Usage: pahofanout.py PORT CLIENTS PAYLOAD
"""

from __future__ import annotations

import sys
import time

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

_WINDOW = 1000


def main() -> None:
    """Publish once to each."""
    port, clients, payload = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode()
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.max_inflight_messages_set(0)
    client.max_queued_messages_set(0)
    acknowledged = connected = 0

    def on_connect(*_: object) -> None:
        nonlocal connected
        connected = 1

    def on_publish(*_: object) -> None:
        nonlocal acknowledged
        acknowledged += 1

    client.on_connect = on_connect
    client.on_publish = on_publish
    client.connect("127.0.0.1", port)
    while not connected:
        client.loop(1)
    print(time.time(), flush=True)
    for sent in range(clients):
        client.publish(f"clients/c{sent}/inbox", payload, 1)
        while sent - acknowledged >= _WINDOW:
            client.loop(1)
    while acknowledged < clients:
        client.loop(1)
    client.disconnect()


if __name__ == "__main__":
    main()
