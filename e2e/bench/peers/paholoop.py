"""A bare paho client that publishes as fast as its window allows; prints messages per second.

Two ways to drive it, both from paho's documentation: `thread` (loop_start, publish from the main
thread) and `loop` (publish and `loop()` in turn, in one thread).

Usage: paholoop.py thread|loop PORT WINDOW SECONDS QOS TOPIC PAYLOAD
"""

from __future__ import annotations

import sys
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

Message = tuple[str, bytes, int]
"""Topic, payload, QoS."""


def make_client() -> mqtt.Client:
    """Return a client; the window is kept here, which costs less than paho's own."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.max_inflight_messages_set(0)
    client.max_queued_messages_set(0)
    return client


def by_thread(port: int, window: int, seconds: float, message: Message) -> float:
    """Publish from this thread while paho's does the network."""
    client = make_client()
    free = threading.Semaphore(window)
    connected = threading.Event()
    client.on_connect = lambda *_: connected.set()
    client.on_publish = lambda *_: free.release()
    client.connect("127.0.0.1", port)
    client.loop_start()
    connected.wait(10)
    began, sent = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        free.acquire()
        client.publish(*message)
        sent += 1
    for _ in range(window):
        free.acquire()
    elapsed = time.perf_counter() - began
    client.disconnect()
    client.loop_stop()
    return sent / elapsed


def by_loop(port: int, window: int, seconds: float, message: Message) -> float:
    """Publish and do the network in turn."""
    client = make_client()
    connected = acknowledged = sent = 0

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
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        # QoS 0 is over when it is written: at most a window of it between two looks at the clock.
        for _ in range(window - (sent - acknowledged)):
            client.publish(*message)
            sent += 1
        client.loop(0 if acknowledged == sent else 1)
    while acknowledged < sent:
        client.loop(1)
    elapsed = time.perf_counter() - began
    client.disconnect()
    return sent / elapsed


def main() -> None:
    """Measure once."""
    way, port, window, seconds, qos, topic, payload = sys.argv[1:]
    drive = {"thread": by_thread, "loop": by_loop}[way]
    print(drive(int(port), int(window), float(seconds), (topic, payload.encode(), int(qos))))


if __name__ == "__main__":
    main()
