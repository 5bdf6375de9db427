"""What the device apps' command lines have in common."""

from __future__ import annotations

import argparse
import logging
import ssl
from pathlib import Path
from threading import Event

from e2e.usecases.device import Device, Link


def parser(description: str) -> argparse.ArgumentParser:
    """Options that say who the device is and where it connects to."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("client_id", help="MQTT client id")
    made.add_argument("--host", required=True, help="the subscriber Service's address")
    made.add_argument("--port", type=int, default=8883)
    made.add_argument("--plain", action="store_true", help="without TLS")
    made.add_argument("--ca-file", help="authority to trust, instead of the system's")
    made.add_argument(
        "--token-file", type=Path, required=True, help="access token; read for each connection"
    )
    return made


def device(arguments: argparse.Namespace) -> Device:
    """The device that the options describe."""
    tls = None if arguments.plain else ssl.create_default_context(cafile=arguments.ca_file)
    path: Path = arguments.token_file

    def token() -> str:
        return path.read_text(encoding="ascii").strip()

    return Device(arguments.client_id, token, Link(arguments.host, arguments.port, tls))


def run(started: Device) -> None:
    """Stay connected until Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    started.start()
    try:
        Event().wait()
    except KeyboardInterrupt:
        started.stop()
