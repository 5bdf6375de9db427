"""Remote diagnostics: the log arrives; and what happens when it does not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from paho.mqtt.client import MQTTMessage

from e2e.kit.objectstore import ObjectStore
from e2e.usecases.device import Device
from e2e.usecases.diagnostics.backend import Diagnostics, LogMissingError
from e2e.usecases.diagnostics.device import LogUploader
from liveconnect.client import Client, ClientAwayError, NoAnswerError
from tests.integration.gateway.world import World
from tests.integration.usecases.conftest import MakeDevice, start

LOG = "".join(f"{number}: all is well\n" for number in range(1000))
Uploader = Callable[..., LogUploader]


@pytest.fixture
def diagnostics(liveconnect: Client, store: ObjectStore) -> Diagnostics:
    return Diagnostics(liveconnect, store.client(), "logs")


@pytest.fixture
def uploader(device: MakeDevice, store: ObjectStore, world: World) -> Iterator[Uploader]:
    """Makes devices that upload their log, and are online."""
    made: list[LogUploader] = []

    def make(
        client_id: str, read: Callable[[], bytes] = LOG.encode, origin: str = store.url
    ) -> LogUploader:
        one = LogUploader(device(client_id), read, frozenset([origin]))
        made.append(one)
        start(one.device)
        world.presence.states[client_id] = "online"
        return one

    yield make
    for one in made:
        one.close()


def answering(device: Device, answer: Any) -> None:
    """Let a device answer all requests with this."""

    def asked(message: MQTTMessage) -> None:
        threading.Thread(target=device.answer, args=(message, answer)).start()

    device.listen(f"clients/{device.client_id}/requests/#", asked)
    start(device)


def test_the_log_arrives(diagnostics: Diagnostics, uploader: Uploader, store: ObjectStore) -> None:
    uploader("sick-1")
    found = diagnostics.fetch_log("sick-1", timeout_seconds=10)
    assert found.text == LOG
    assert found.where.startswith(f"{store.url}/logs/sick-1/")
    assert "?" not in found.where
    assert diagnostics.fetch_log("sick-1", timeout_seconds=10).where != found.where


def test_each_url_is_for_one_object(
    diagnostics: Diagnostics, device: MakeDevice, world: World, store: ObjectStore
) -> None:
    """A device that writes elsewhere with its URL has not written what it was asked for."""
    phone = device("sly-1")

    def asked(message: MQTTMessage) -> None:
        url = json.loads(message.payload)["url"].partition("?")[0]
        report = {"status": "uploaded", "where": url, "sha256": "0" * 64}
        threading.Thread(target=phone.answer, args=(message, json.dumps(report))).start()

    phone.listen("clients/sly-1/requests/#", asked)
    start(phone)
    world.presence.states["sly-1"] = "online"
    with pytest.raises(LogMissingError, match="NoSuchKey"):
        diagnostics.fetch_log("sly-1", timeout_seconds=10)


def test_a_device_that_is_away_is_not_asked(diagnostics: Diagnostics, world: World) -> None:
    world.presence.states["away-1"] = "offline"
    with pytest.raises(ClientAwayError) as failed:
        diagnostics.fetch_log("away-1")
    assert failed.value.sent is False
    assert failed.value.presence is not None
    assert failed.value.presence.state == "offline"


def test_a_device_that_does_not_answer_in_time(
    diagnostics: Diagnostics, uploader: Uploader
) -> None:
    slow = threading.Event()

    def read() -> bytes:
        slow.wait(20)
        return b""

    hanging = uploader("hangs-1", read)
    try:
        with pytest.raises(NoAnswerError) as failed:
            diagnostics.fetch_log("hangs-1", timeout_seconds=1)
    finally:
        slow.set()
    assert failed.value.acknowledged
    assert failed.value.id
    assert hanging.device.listening


def test_a_device_that_cannot_read_its_log_says_so(
    diagnostics: Diagnostics, uploader: Uploader
) -> None:
    def broken() -> bytes:
        raise OSError("the disk is broken")

    uploader("broken-1", broken)
    with pytest.raises(LogMissingError, match="the disk is broken"):
        diagnostics.fetch_log("broken-1", timeout_seconds=10)


def test_a_device_uploads_to_its_own_stores_only(
    diagnostics: Diagnostics, uploader: Uploader
) -> None:
    uploader("careful-1", origin="https://logs.example.com")
    with pytest.raises(LogMissingError, match="not uploaded to 127") as failed:
        diagnostics.fetch_log("careful-1", timeout_seconds=10)
    assert "Signature" not in str(failed.value)


@pytest.mark.parametrize("answer", [b"", b"\xff", b"{}", b"[1]", b'{"status":1}'])
def test_a_device_may_answer_anything(
    diagnostics: Diagnostics, device: MakeDevice, world: World, answer: bytes
) -> None:
    phone = device("odd-1")
    world.presence.states["odd-1"] = "online"
    answering(phone, answer)
    with pytest.raises(LogMissingError):
        diagnostics.fetch_log("odd-1", timeout_seconds=10)
