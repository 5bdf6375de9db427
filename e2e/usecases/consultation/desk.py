"""The desk: brings patients and doctors together. The first doctor who accepts gets the patient.

Patients and doctors reach it by HTTPS, as any backend; what it has to tell them goes by
LiveConnect, and so reaches them within moments, without anybody asking.
"""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass

from liveconnect.client import Client, Message

DOCTORS = "doctors"
"""The group that all doctors are in."""
_STALE_AFTER_SECONDS = 600


@dataclass(frozen=True)
class Patient:
    """Who waits."""

    name: str
    """Subject of her token."""
    client_id: str
    """Her phone."""


class Desk:
    """Keeps who waits, in memory; a real one has a database."""

    def __init__(self, liveconnect: Client) -> None:
        self._liveconnect = liveconnect
        self._waiting: dict[str, Patient] = {}
        self._lock = threading.Lock()

    def ask_for_doctor(self, patient: Patient, complaint: str) -> str:
        """Tell all doctors that somebody waits; return the consultation's id."""
        identity = uuid.uuid4().hex
        with self._lock:
            self._waiting[identity] = patient
        call = {"consultation": identity, "complaint": complaint}
        self._liveconnect.publish(
            Message(group=DOCTORS, payload=call, message_expiry_seconds=_STALE_AFTER_SECONDS)
        )
        return identity

    def accept(self, consultation: str, doctor: str) -> Patient | None:
        """Give the patient to a doctor, and tell the patient; None if somebody was faster.

        The phone may be in a tunnel just now: with QoS 1 the acceptance waits in its session.
        """
        with self._lock:
            patient = self._waiting.pop(consultation, None)
        if patient is None:
            return None
        accepted = {"consultation": consultation, "doctor": doctor}
        self._liveconnect.publish(Message(client_id=patient.client_id, payload=accepted))
        return patient
