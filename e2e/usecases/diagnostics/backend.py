"""Support's backend: gets a device's log."""

from __future__ import annotations

import hashlib
import uuid
import zlib
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

import msgspec
from minio import Minio
from minio.error import S3Error

from liveconnect.client import Answer, Client, Delivery, Request

_LONGEST_BYTES = 16 << 20
_GRACE_SECONDS = 30
"""An upload that began in time may end a little later."""


class LogMissingError(Exception):
    """The device answered, but there is no log, or not the one that it speaks of."""


class Report(msgspec.Struct, rename="camel"):
    """What a device answers."""

    status: str
    """`uploaded` or `failed`."""
    where: str = ""
    """URL of what it uploaded, without the signature."""
    sha256: str = ""
    """Digest of what it uploaded, in hex."""
    reason: str = ""
    """Why there is no log."""


@dataclass(frozen=True)
class DeviceLog:
    """A device's log."""

    where: str
    text: str


class Diagnostics:
    """Asks devices for their logs."""

    def __init__(self, liveconnect: Client, store: Minio, bucket: str) -> None:
        self._liveconnect = liveconnect
        self._store = store
        self._bucket = bucket

    def fetch_log(self, client_id: str, timeout_seconds: int = 30) -> DeviceLog:
        """Return a device's log.

        Raises:
            ClientAwayError: the device is not connected: its log would be old when it comes.
            NoAnswerError: it did not answer in time; says whether it has the request.
            LogMissingError: it could not upload its log.
        """
        # A key that nobody can guess, and that no second request writes to.
        key = f"{quote(client_id, safe='')}/{uuid.uuid4().hex}.log.gz"
        lifetime = timedelta(seconds=timeout_seconds + _GRACE_SECONDS)
        url = self._store.presigned_put_object(self._bucket, key, expires=lifetime)
        asked = Request(
            payload={"command": "upload-log", "url": url},
            timeout_seconds=timeout_seconds,
            delivery=Delivery.ONLINE_ONLY,
        )
        status = self._liveconnect.request(client_id, asked)
        report = _report(status.answer)
        return DeviceLog(url.partition("?")[0], self._download(key, report))

    def _download(self, key: str, report: Report) -> str:
        """Read the object that was asked for, never one that the device names."""
        if report.status != "uploaded":
            raise LogMissingError(f"the device has not uploaded its log: {report.reason}")
        try:
            response = self._store.get_object(self._bucket, key)
        except S3Error as error:
            raise LogMissingError(f"the device says that it has uploaded: {error.code}") from None
        try:
            content = response.read(_LONGEST_BYTES)
        finally:
            response.close()
            response.release_conn()
        if hashlib.sha256(content).hexdigest() != report.sha256:
            raise LogMissingError("what is in the store is not what the device has uploaded")
        return _unpacked(content)


def _unpacked(content: bytes) -> str:
    """Decompress; a device that was broken into may send what would not fit into memory."""
    try:
        unpacked = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(content, _LONGEST_BYTES)
    except zlib.error as error:
        raise LogMissingError(f"the log is not gzip: {error}") from None
    return unpacked.decode(errors="replace")


def _report(answer: Answer | None) -> Report:
    """Read an answer; a device may send anything."""
    try:
        return msgspec.json.decode(b"" if answer is None else answer.content, type=Report)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise LogMissingError("the device's answer is no report") from None
