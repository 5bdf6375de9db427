"""A bad network between phones and the load balancer: toxiproxy, by its HTTP API.

The clients for it in PyPI are years old; its API is a handful of requests.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from e2e.kit.eventually import eventually
from e2e.kit.phone import Address

Direction = Literal["upstream", "downstream"]
BOTH: tuple[Direction, ...] = ("upstream", "downstream")
_COUNTER = re.compile(
    r'^toxiproxy_proxy_(received|sent)_bytes_total\{direction="(\w+)".*?proxy="([^"]+)".*\} (\S+)$',
    re.MULTILINE,
)
LOCAL = "127.0.0.1"
_PORT = 8474
"""Of the API, where no other program is."""
_ASK_SECONDS = 30
_SETTLED = 3
"""Equal readings in a row after which a counter stands still."""


class BadNetworkError(RuntimeError):
    """toxiproxy does not do what it is asked; says what it answered."""


@dataclass(frozen=True)
class Toxic:
    """One thing that is wrong with a road."""

    kind: str
    """toxiproxy's word: `latency`, `bandwidth`, `slicer`, `timeout`, `reset_peer`, `limit_data`."""
    attributes: Mapping[str, int]
    """toxiproxy's own, in its own units."""
    directions: Sequence[Direction] = BOTH
    """`upstream` is from the phone to the broker."""


class Carried(NamedTuple):
    """Bytes of TCP's payload that entered a road."""

    up: int
    """From the phone."""
    down: int
    """From the broker, most of those that never arrived included."""


class Road:
    """One way to the broker that can be made bad."""

    def __init__(self, network: BadNetwork, name: str, address: Address) -> None:
        """Made by `BadNetwork.road`."""
        self._network = network
        self._path = f"/proxies/{name}"
        self._name = name
        self.address = address
        """Where phones connect to."""

    def spoil(self, *toxics: Toxic) -> None:
        """Add toxics; they work on open connections, too."""
        for number, toxic in enumerate(toxics):
            for direction in toxic.directions:
                body = {
                    "name": f"{toxic.kind}-{number}-{direction}",
                    "type": toxic.kind,
                    "stream": direction,
                    "attributes": dict(toxic.attributes),
                }
                self._network.ask("POST", f"{self._path}/toxics", body)

    def heal(self) -> None:
        """Take all toxics away."""
        for toxic in json.loads(self._network.ask("GET", f"{self._path}/toxics")):
            self._network.ask("DELETE", f"{self._path}/toxics/{toxic['name']}")

    def close(self) -> None:
        """End all connections and take no more."""
        self._network.ask("POST", self._path, {"enabled": False})

    def open(self) -> None:
        """Take connections again."""
        self._network.ask("POST", self._path, {"enabled": True})

    def carried(self) -> Carried:
        """What the road has carried; ends its connections, which are counted when they end.

        Raises:
            NotInTimeError: When the counters do not come to rest.
        """
        self.close()
        seen: list[Carried] = []

        def settled() -> bool:
            seen.append(self._network.carried(self._name))
            last = seen[-_SETTLED:]
            return len(last) == _SETTLED and len(set(last)) == 1

        eventually(settled, within=10, every=0.2, what=f"{self._name}: all bytes are counted")
        return seen[-1]


class BadNetwork:
    """A toxiproxy that ends with the `with` block."""

    def __init__(
        self, binary: Path, log: Path, inside: Sequence[str] = (), host: str = LOCAL
    ) -> None:
        """Prepare it.

        Args:
            binary: toxiproxy's server.
            log: Where its output goes.
            inside: Command before it, as of another network namespace.
            host: Address of its API, and of its roads unless they say otherwise.
        """
        self._command = [*inside, str(binary)]
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._api = Address(host, _free_port() if host == LOCAL else _PORT)
        # Its API is on this machine whatever proxy the environment names.
        self._http = build_opener(ProxyHandler({}))
        self._names = 0

    def __enter__(self) -> Self:
        """Start.

        Raises:
            NotInTimeError: When it does not answer.
        """
        self._log.parent.mkdir(parents=True, exist_ok=True)
        options = ["-host", self._api.host, "-port", str(self._api.port), "-proxy-metrics"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self._command, *options], stdout=log, stderr=subprocess.STDOUT
            )
        try:
            eventually(lambda: self.ask("GET", "/version"), within=10, what="toxiproxy answers")
        except AssertionError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End; the connections go with it."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def road(self, upstream: Address, host: str | None = None) -> Road:
        """Build a road to an address.

        Args:
            upstream: Where it leads.
            host: Address on which it begins; its port is chosen.
        """
        self._names += 1
        name, host = f"road-{self._names}", host or self._api.host
        body = {"name": name, "listen": f"{host}:0", "upstream": str(upstream)}
        made = json.loads(self.ask("POST", "/proxies", body))
        return Road(self, name, Address(host, int(made["listen"].rpartition(":")[2])))

    def carried(self, name: str) -> Carried:
        """What the ended connections of a road have carried.

        toxiproxy counts no end that is stuck behind a toxic: of both ends the greater counts.
        """
        sums: Counter[tuple[str, str]] = Counter()
        for end, direction, proxy, value in _COUNTER.findall(self.ask("GET", "/metrics")):
            if proxy == name:
                sums[end, direction] += int(float(value))
        up, down = (max(sums["received", direction], sums["sent", direction]) for direction in BOTH)
        return Carried(up, down)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> str:
        """Make a request of the API and return the answer.

        Raises:
            BadNetworkError: When it is refused.
            OSError: When nobody answers.
        """
        content = None if body is None else json.dumps(body).encode()
        request = Request(
            f"http://{self._api}{path}", content, {"Content-Type": "application/json"},
            method=method,
        )  # fmt: skip
        try:
            with self._http.open(request, timeout=_ASK_SECONDS) as answer:
                text: str = answer.read().decode()
                return text
        except HTTPError as error:
            said = error.read().decode(errors="replace")
            raise BadNetworkError(f"{method} {path}: {error.code} {said}") from None


def _free_port() -> int:
    with socket.create_server((LOCAL, 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
