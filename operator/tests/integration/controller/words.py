"""The words of conditions and events, as the API server shows them to everybody who watches."""

from __future__ import annotations

import subprocess
from pathlib import Path

from e2e.providers.binaries import binary
from e2e.providers.control_plane import ControlPlaneProvider
from liveconnect.common.policy.delegation import TopicReason
from liveconnect.controller.planner.reasons import Reason
from liveconnect.controller.planner.topics import InForce

# Not jsonpath: in a watch its `range` prints the first object and no other.
_CONDITIONS = r'{{range .status.conditions}}{{.type}}={{.reason}}{{"\n"}}{{end}}'
_EVENT = r'Event={{.reason}}{{"\n"}}'
_CLUSTER = frozenset(Reason)
#: What is watched: resource, output, further arguments, and the list that its words are of.
_WATCHED: tuple[tuple[str, str, tuple[str, ...], frozenset[str]], ...] = (
    ("lcc", _CONDITIONS, (), _CLUSTER),
    ("lct", _CONDITIONS, (), frozenset({*TopicReason, *InForce, Reason.WAITING})),
    ("events", _EVENT, ("--field-selector=involvedObject.kind=LiveConnectCluster",), _CLUSTER),
)

_STANDS_SECONDS = 1.5


class Words:
    """Watches all namespaces, from before the first operator starts."""

    def __init__(self, plane: ControlPlaneProvider, folder: Path) -> None:
        self._plane = plane
        self._folder = folder
        self._watches: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Write down every version of every object from now on."""
        for resource, template, more, _ in _WATCHED:
            command = [
                str(binary("kubectl")), "--kubeconfig", str(self._plane.kubeconfig()),
                "get", resource, "-A", "--watch", *more, "-o", f"go-template={template}",
            ]  # fmt: skip
            self._watches.append(self._standing(command, self._file(resource)))

    @staticmethod
    def _standing(command: list[str], file: Path) -> subprocess.Popen[bytes]:
        """A watch that stands; a new CRD's may be refused at first (410, too old a version)."""
        for _ in range(20):
            with file.open("wb") as out:
                watch = subprocess.Popen(command, stdout=out, stderr=out)
            try:
                watch.wait(_STANDS_SECONDS)
            except subprocess.TimeoutExpired:
                return watch
        raise AssertionError(f"no watch stands: {file.read_text()}")

    def stop(self) -> None:
        """Watch no more."""
        for watch in self._watches:
            watch.kill()
            watch.wait()

    def told(self, resource: str) -> set[str]:
        """`<type of the condition>=<reason>`, and `Event=<reason>`."""
        whole = self._file(resource).read_text().rpartition("\n")[0]
        return set(whole.split("\n")) - {""}

    def unknown(self) -> set[str]:
        """What is of no list; an error of a watch is none either."""
        return {
            word
            for resource, _, _, known in _WATCHED
            for word in self.told(resource)
            if word.partition("=")[2] not in known
        }

    def _file(self, resource: str) -> Path:
        return self._folder / resource
