"""A real broker: Debian's mosquitto, on a port of its own."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
from pathlib import Path

from tests.integration.webhook.world import eventually, free_port

_PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"


class Broker:
    """mosquitto; can be stopped, started again, and frozen."""

    def __init__(self, folder: Path, *lines: str) -> None:
        """Prepare a broker.

        Args:
            folder: for its configuration and log.
            lines: further lines of its configuration.
        """
        program = shutil.which("mosquitto", path=_PATH)
        assert program, "mosquitto is needed: apt-get install mosquitto"
        self._program = program
        self.port = free_port()
        self.log = folder / "mosquitto.log"
        self._configuration = folder / "mosquitto.conf"
        usual = (
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous true",
            "log_type all",
            "max_queued_messages 0",
        )
        self._configuration.write_text("\n".join((*usual, *lines, "")))
        self._process: subprocess.Popen[bytes] | None = None

    def also(self, line: str) -> None:
        """Add a line to its configuration, for the next start."""
        with self._configuration.open("a") as configuration:
            configuration.write(f"{line}\n")

    def start(self) -> None:
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [self._program, "-c", str(self._configuration)],
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        eventually(self._listens)

    def _listens(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1):
                return True
        except OSError:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            self._process.wait(10)
            self._process = None

    def freeze(self) -> None:
        """Let it acknowledge nothing; its connections stay."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
