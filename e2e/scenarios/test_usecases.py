"""The use cases on the whole platform: rules of teams, real tokens, real presence.

`docs/use-cases.md` tells them; `operator/tests/integration/usecases` has their unhappy paths.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from e2e.kit import objectstore, samples
from e2e.kit.cluster import Cluster
from e2e.kit.eventually import always, eventually
from e2e.kit.issuer import Issuer
from e2e.kit.loadbalancer import door
from e2e.kit.microservice import AUDIENCE
from e2e.kit.objectstore import ObjectStore
from e2e.kit.phone import Address
from e2e.kit.portforward import PortForward
from e2e.kit.ready import wait_ready
from e2e.usecases.consultation.apps import DoctorApp, PatientApp
from e2e.usecases.consultation.desk import Desk, Patient
from e2e.usecases.device import Backoff, Device, Link
from e2e.usecases.diagnostics.backend import Diagnostics
from e2e.usecases.diagnostics.device import LogUploader
from e2e.usecases.orders.backend import Order, Shop
from e2e.usecases.orders.phone import OrderScreen
from e2e.usecases.orders.polling import View, polling_calls
from liveconnect.client import (
    Client,
    ClientAwayError,
    Endpoints,
    ForbiddenError,
    Message,
    NoAnswerError,
    PresenceState,
    ProjectedToken,
)

pytestmark = pytest.mark.e2e
_SAMPLES = samples.SAMPLES / "usecases"
_NAME = "platform"
_STATUSES = ["received", "cooking", "cooked", "on its way", "delivered"]
_GAP_SECONDS = 1.0
_POLL_SECONDS = 10.0
_STORY_SECONDS_PER_SECOND = 360
"""One second here stands for six minutes there: an order takes half an hour."""

MakeDevice = Callable[..., Device]
Backend = Callable[[str, str], Client]


class _Counting(httpx.HTTPTransport):
    """HTTP that counts what it sends."""

    calls = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.calls += 1
        return super().handle_request(request)


@dataclass
class Platform:
    """The platform of the use cases, and the ways into it."""

    cluster: Cluster
    gateway: PortForward
    auth: PortForward
    phones: Address


@pytest.fixture(scope="module")
def platform(cluster: Cluster, issuer: Issuer) -> Iterator[Platform]:
    """The samples, as small as possible, and ready."""
    body = yaml.safe_load((_SAMPLES / "platform.yaml").read_text(encoding="utf-8"))
    body["spec"]["broker"] |= {"image": samples.broker_image(), "imagePullPolicy": "IfNotPresent"}
    for part in ("publishers", "subscribers", "auth", "gateway"):
        body["spec"][part]["replicas"] = 1
    topics = [
        yaml.safe_load(path.read_text(encoding="utf-8"))
        for path in sorted(_SAMPLES.glob("*.yaml"))
        if path.stem != _NAME
    ]
    accounts = [c["serviceAccount"] for c in body["spec"]["gateway"]["callers"]]
    for account in accounts:
        namespace, name = account["namespace"], account["name"]
        cluster.ensure_namespace(namespace)
        cluster.apply(samples.service_account(namespace, name), namespace=namespace)
    cluster.apply(samples.key_set(_NAME, "default", issuer), body)
    for topic in topics:
        cluster.apply(topic, namespace=topic["metadata"]["namespace"])
    wait_ready(cluster, _NAME, "default", within=300)
    for topic in topics:
        _wait_in_force(cluster, topic)
    with (
        PortForward(cluster, "default", f"service/{_NAME}-gateway", 8080) as gateway,
        PortForward(cluster, "default", f"service/{_NAME}-auth", 8080) as auth,
        door(cluster, "default", f"{_NAME}-subscriber") as phones,
    ):
        yield Platform(cluster, gateway, auth, phones)
    cluster.delete(samples.KIND, _NAME)
    for account in accounts:
        cluster.delete("namespace", account["namespace"])


def _wait_in_force(cluster: Cluster, topic: dict[str, Any]) -> None:
    name, namespace = topic["metadata"]["name"], topic["metadata"]["namespace"]
    cluster.kubectl(
        "wait", "--for=condition=InForce", f"liveconnecttopics.liveconnect.io/{name}",
        "-n", namespace, "--timeout=60s", timeout=70,
    )  # fmt: skip


@pytest.fixture
def http() -> _Counting:
    """What the backends speak HTTP with."""
    return _Counting()


@pytest.fixture
def backend(platform: Platform, http: _Counting, tmp_path: Path) -> Iterator[Backend]:
    """Makes clients with a backend's own token."""
    endpoints = Endpoints(f"http://{platform.gateway.address}", f"http://{platform.auth.address}")
    with ExitStack() as stack:

        def make(namespace: str, name: str) -> Client:
            token = tmp_path / name
            token.touch(mode=0o600)
            token.write_text(platform.cluster.token(namespace, name, AUDIENCE))
            client = Client(endpoints, token=ProjectedToken(token), transport=http)
            return stack.enter_context(client)

        yield make


@pytest.fixture
def device(platform: Platform, issuer: Issuer) -> Iterator[MakeDevice]:
    """Makes devices with claims in their tokens, and stops them."""
    made: list[Device] = []
    nobody = {"customer": "0"}

    def make(client_id: str, **claims: Any) -> Device:
        link = Link(*platform.phones, keepalive_seconds=10, backoff=Backoff(0.2, 2))
        # A new token for each connection.
        made.append(Device(client_id, lambda: issuer.token(client_id, **(nobody | claims)), link))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An object store with a bucket for logs."""
    with objectstore.running(tmp_path_factory.mktemp("store")) as made:
        made.client().make_bucket("logs")
        yield made


def _start(*devices: Device) -> None:
    for one in devices:
        one.start()
    eventually(lambda: all(one.listening for one in devices), within=30, what="devices listen")


def test_order_status_is_pushed_with_fewer_calls_than_polling(
    backend: Backend, http: _Counting, device: MakeDevice
) -> None:
    shop = Shop(backend("shop", "orders"))
    orders = [Order(f"c{number}", f"o{number}") for number in range(10)]
    screens = [
        OrderScreen(device(f"order-phone-{o.customer}", customer=o.customer), o.customer)
        for o in orders
    ]
    _start(*(screen.device for screen in screens))
    opened = time.monotonic()
    for status in _STATUSES:
        due = time.monotonic() + _GAP_SECONDS
        for order in orders:
            shop.update(order, status)
        eventually(
            lambda status=status: all(  # type: ignore[misc]  # mypy cannot infer a lambda's default
                s.status(o.number) == status for s, o in zip(screens, orders, strict=True)
            ),
            within=10,
            every=0.02,
            what=f"{status} on all phones",
        )
        eventually(lambda due=due: time.monotonic() >= due, within=5, every=0.02)  # type: ignore[misc]  # as above
    closed = time.monotonic()

    assert all([s.status for s in screen.shown] == _STATUSES for screen in screens)
    polled = polling_calls(
        [View(opened, closed)] * len(screens), _POLL_SECONDS / _STORY_SECONDS_PER_SECOND
    )
    print(f"HTTP calls: {http.calls} pushed, {polled} polled every {_POLL_SECONDS:g} s")
    assert http.calls == len(orders) * len(_STATUSES)
    assert polled >= 20 * http.calls


def test_an_app_that_is_opened_later_sees_the_newest_status(
    backend: Backend, device: MakeDevice
) -> None:
    shop, order = Shop(backend("shop", "orders")), Order("late", "o-late")
    for status in _STATUSES[:3]:
        shop.update(order, status)
    numbers = count()

    def opened() -> bool:
        """VerneMQ hands retained messages on to other nodes once a second."""
        screen = OrderScreen(device(f"order-phone-late-{next(numbers)}", customer="late"), "late")
        _start(screen.device)
        return eventually(lambda: screen.status("o-late") == "cooked", within=1)

    eventually(opened, within=10, what="the newest status")
    curious = OrderScreen(device("order-phone-curious", customer="curious"), "late")
    _start(curious.device)
    always(lambda: not curious.shown, during=1, what="nothing on a stranger's phone")


def test_a_doctors_acceptance_reaches_the_waiting_patient_and_both_talk(
    backend: Backend, device: MakeDevice
) -> None:
    desk = Desk(backend("clinic", "desk"))
    patient = PatientApp(device("phone-ann", sub="ann"), "ann")
    doctors = [
        DoctorApp(device(f"tablet-{name}", sub=name, groups=["doctors"]), name)
        for name in ("bo", "cy")
    ]
    _start(patient.device, *(doctor.device for doctor in doctors))
    consultation = desk.ask_for_doctor(Patient("ann", "phone-ann"), "a cough")
    eventually(
        lambda: all(consultation in doctor.calls for doctor in doctors),
        within=10,
        what="the call on all doctors' tablets",
    )

    # The patient is in a tunnel, and both doctors accept at once.
    patient.device.drop_network()
    with ThreadPoolExecutor(2) as hands:
        given = list(hands.map(lambda doctor: desk.accept(consultation, doctor.name), doctors))
    assert sorted(one is None for one in given) == [False, True]
    doctor, other = doctors if given[0] is not None else reversed(doctors)
    eventually(lambda: patient.doctor == doctor.name, within=20, what="the acceptance")

    for text in ("It began on Monday.", "No fever."):
        patient.say(text)
    doctor.say("ann", "Drink tea.")
    eventually(lambda: len(doctor.conversation.heard) == 2, within=10, what="the patient's words")
    eventually(lambda: patient.conversation.heard == ["Drink tea."], within=10, what="the doctor's")
    assert doctor.conversation.heard == ["It began on Monday.", "No fever."]
    assert other.conversation.heard == []


def test_a_backend_gets_a_devices_log(
    backend: Backend, device: MakeDevice, store: ObjectStore
) -> None:
    support = backend("support", "diagnostics")
    diagnostics = Diagnostics(support, store.client(), "logs")
    log = "all is well\n" * 5000
    hang = threading.Event()

    def read() -> bytes:
        hang.wait(20)
        return log.encode()

    uploader = LogUploader(device("phone-sick"), read, frozenset([store.url]))
    with pytest.raises(ClientAwayError) as away:
        diagnostics.fetch_log("phone-sick")
    assert away.value.sent is False

    _start(uploader.device)
    eventually(lambda: support.presence("phone-sick").online, within=10, what="presence")
    with pytest.raises(NoAnswerError) as late:
        diagnostics.fetch_log("phone-sick", timeout_seconds=2)
    assert late.value.acknowledged
    assert late.value.presence is not None
    assert late.value.presence.online

    hang.set()
    found = diagnostics.fetch_log("phone-sick", timeout_seconds=20)
    assert found.text == log

    uploader.device.stop()
    uploader.close()
    eventually(
        lambda: support.presence("phone-sick").state is PresenceState.OFFLINE,
        within=10,
        what="the device offline",
    )
    with pytest.raises(ClientAwayError):
        diagnostics.fetch_log("phone-sick")


def test_backends_of_other_teams_may_not_ask(backend: Backend) -> None:
    with pytest.raises(ForbiddenError) as refused:
        backend("shop", "orders").publish(Message(topic="clients/a/requests/0/x", payload="x"))
    assert refused.value.field == "topic"
