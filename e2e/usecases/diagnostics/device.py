"""The device's part: uploads its log when it is asked to.

python -m e2e.usecases.diagnostics.device phone-1 --log-file … --store https://logs.example.com \
    --host … --port … --token-file …
"""

from __future__ import annotations

import gzip
import hashlib
import json
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from paho.mqtt.client import MQTTMessage

from e2e.usecases import commandline
from e2e.usecases.device import Device

_UPLOAD_SECONDS = 20.0
_LONGEST_LOG_BYTES = 10 << 20


class LogUploader:
    """Answers requests for the log."""

    def __init__(
        self, device: Device, read_log: Callable[[], bytes], stores: frozenset[str]
    ) -> None:
        """Listen for requests.

        Args:
            device: not yet started.
            read_log: returns the log.
            stores: where logs may be uploaded to, such as `https://logs.example.com`: whoever can
                send requests shall not be able to send logs anywhere.
        """
        self.device = device
        self._read_log = read_log
        self._stores = stores
        # Of its own: an upload must not hold the connection's thread, and one at a time is enough.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="upload")
        device.listen(f"clients/{device.client_id}/requests/#", self._asked)

    def close(self) -> None:
        """Finish what was begun."""
        self._worker.shutdown()

    def _asked(self, message: MQTTMessage) -> None:
        self._worker.submit(self._serve, message)

    def _serve(self, message: MQTTMessage) -> None:
        """Answer every request, also those that cannot be served: somebody waits."""
        try:
            report = self._upload(json.loads(message.payload))
        except (OSError, ValueError, KeyError, TypeError) as error:
            report = {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
        self.device.answer(message, json.dumps(report))

    def _upload(self, asked: dict[str, str]) -> dict[str, str]:
        if asked["command"] != "upload-log":
            raise ValueError(f"unknown command {asked['command']}")
        where = self._allowed(asked["url"])
        # The newest part, if the log is very long.
        content = gzip.compress(self._read_log()[-_LONGEST_LOG_BYTES:])
        put = urllib.request.Request(  # noqa: S310 - see _allowed
            asked["url"], content, {"Content-Type": "application/gzip"}, method="PUT"
        )
        with urllib.request.urlopen(put, timeout=_UPLOAD_SECONDS):  # noqa: S310 - see _allowed
            digest = hashlib.sha256(content).hexdigest()
            return {"status": "uploaded", "where": where, "sha256": digest}

    def _allowed(self, url: str) -> str:
        """Return the URL without its signature, which is a secret, if it is one of our stores'."""
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" not in self._stores:
            raise ValueError(f"logs are not uploaded to {parts.netloc}")
        return parts._replace(query="").geturl()


def main() -> None:
    """Serve requests until it is interrupted."""
    parser = commandline.parser("Uploads its log when a backend asks for it.")
    parser.add_argument("--log-file", type=Path, required=True)
    parser.add_argument("--store", action="append", required=True, help="may be repeated")
    arguments = parser.parse_args()
    path: Path = arguments.log_file
    device = commandline.device(arguments)
    uploader = LogUploader(device, path.read_bytes, frozenset(arguments.store))
    commandline.run(device)
    uploader.close()


if __name__ == "__main__":
    main()
