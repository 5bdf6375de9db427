"""A crowd of phones with persistent sessions, and what became of the messages for them."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from e2e.kit.eventually import NotInTimeError, eventually
from e2e.kit.issuer import Issuer
from e2e.kit.microservice import Microservice
from e2e.kit.phone import Address, Phone

#: Connects at the same time: what one phone's door takes without a queue.
_AT_ONCE = 16
#: More are not connected at once: paho's threads wait with select(), which knows 1,024 files, and a
#: phone has three.
_MOST = 300
#: How long one of a larger crowd waits for what was accepted for it (seconds).
_WAIT = 20.0
_VISITS = 3


@dataclass(frozen=True)
class Delivery:
    """What a crowd got of the messages that were accepted for it."""

    accepted: int
    lost: int
    repeated: int
    """Messages that came more than once: QoS 1 allows it."""


class Crowd:
    """Phones of as many customers, each subscribed (QoS 1) to its customer's orders."""

    def __init__(self, name: str, size: int, issuer: Issuer) -> None:
        """Prepare them.

        Args:
            name: Prefix of their client ids.
            size: How many.
            issuer: Of their tokens.
        """
        customers = [f"{name}-{n}" for n in range(size)]
        self._phones = {
            customer: Phone(customer, issuer.token(customer, customer), persistent=True)
            for customer in customers
        }
        self._accepted: Counter[str] = Counter()

    def connect(self, doors: list[Address]) -> None:
        """All connect, spread over the doors, and subscribe if their session is new.

        Of more than 300 each says goodbye as soon as it has what was accepted for it.

        Raises:
            AssertionError: When one is refused.
        """

        def come(turn: tuple[int, tuple[str, Phone]]) -> None:
            number, (customer, phone) = turn
            # Whatever is not lost waits for the next visit; a busy machine is only slow.
            for _ in range(_VISITS):
                self._come(customer, phone, doors[number % len(doors)])
                if len(self._phones) <= _MOST:
                    return
                complete = self._has_all(customer, phone)
                phone.disconnect()
                if complete:
                    return

        self._each(come)

    def _come(self, customer: str, phone: Phone, door: Address) -> None:
        assert phone.connect(door, within=30) == 0, customer
        if not phone.session_present:
            assert phone.subscribe(f"orders/{customer}/+/status", qos=1) == 1

    def _has_all(self, customer: str, phone: Phone) -> bool:
        """Wait for what was accepted for a phone; what does not come is counted later."""
        wanted = {p for p in self._accepted if p.startswith(f"{customer}:")}
        with contextlib.suppress(NotInTimeError):
            eventually(lambda: wanted <= {m.payload for m in phone.messages}, within=_WAIT)
        return wanted <= {m.payload for m in phone.messages}

    def connected(self) -> int:
        """How many of them are connected now."""
        return sum(phone.connected() for phone in self._phones.values())

    def leave(self) -> None:
        """All say goodbye; their sessions stay."""
        self._each(lambda turn: turn[1][1].disconnect())

    def _each(self, do: Callable[[tuple[int, tuple[str, Phone]]], object]) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(do, enumerate(self._phones.items())))

    def send(self, service: Microservice, each: int) -> None:
        """Publish so many QoS 1 messages to every phone; only accepted ones count.

        Raises:
            AssertionError: When the gateway does not accept one.
        """
        first = self._accepted.total()
        messages = [
            {
                "topic": f"orders/{customer}/{n}/status",
                "payload": f"{customer}:{first + n}",
                "qos": 1,
            }
            for n in range(each)
            for customer in self._phones
        ]
        for start in range(0, len(messages), 1000):
            some = messages[start : start + 1000]
            for message, result in zip(some, service.publish_all(some), strict=True):
                assert result["status"] < 300, result
                self._accepted[str(message["payload"])] += 1

    def delivery(self, *, within: float) -> Delivery:
        """Wait until everything has come, or the time (seconds) is over, and count."""

        def count() -> Delivery:
            got = Counter(m.payload for phone in self._phones.values() for m in phone.messages)
            lost = self._accepted.keys() - got.keys()
            repeated = sum(got[p] > 1 for p in self._accepted)
            return Delivery(len(self._accepted), len(lost), repeated)

        try:
            eventually(lambda: count().lost == 0, within=within, every=0.5, what="all messages")
        except AssertionError:
            return count()
        return count()
