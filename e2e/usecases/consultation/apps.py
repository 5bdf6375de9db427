"""The patient's and the doctor's app."""

from __future__ import annotations

import json
from collections import deque

from paho.mqtt.client import MQTTMessage

from e2e.usecases.consultation.desk import DOCTORS
from e2e.usecases.device import Device

#: A message may come twice (QoS 1); its id tells. So many are remembered.
_REMEMBERED = 1000


class Conversation:
    """What somebody heard from others, each message once, in order."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._ids: deque[str] = deque(maxlen=_REMEMBERED)

    def take(self, message: MQTTMessage) -> None:
        """Take a message in, unless it came before."""
        said = json.loads(message.payload)
        if said["id"] not in self._ids:
            self._ids.append(said["id"])
            self.heard.append(said["text"])


class PatientApp:
    """Waits for a doctor, then talks."""

    def __init__(self, device: Device, name: str) -> None:
        """Listen; the device's token must be this patient's.

        Args:
            device: not yet started.
            name: the patient's, as in the token (`sub`).
        """
        self.device = device
        self.name = name
        self.doctor: str | None = None
        """Who has accepted."""
        self.conversation = Conversation()
        self._said = 0
        # What the desk tells this phone.
        device.listen(f"clients/{device.client_id}/inbox", self._accepted)
        # What any doctor tells this patient.
        device.listen(f"consultations/{name}/+/to-patient", self.conversation.take)

    def say(self, text: str) -> None:
        """Say something to the doctor; without a network it is said later.

        Raises:
            LookupError: no doctor has accepted yet.
        """
        if self.doctor is None:
            raise LookupError("no doctor has accepted yet")
        self._said += 1
        topic = f"consultations/{self.name}/{self.doctor}/to-doctor"
        self.device.publish(topic, _said(self.device, self._said, text))

    def _accepted(self, message: MQTTMessage) -> None:
        self.doctor = json.loads(message.payload)["doctor"]


class DoctorApp:
    """Hears who waits, accepts, talks."""

    def __init__(self, device: Device, name: str) -> None:
        """Listen; the device's token must be this doctor's, and name the group of doctors."""
        self.device = device
        self.name = name
        self.calls: list[str] = []
        """Consultations that somebody waits for."""
        self.conversation = Conversation()
        self._said = 0
        device.listen(f"groups/{DOCTORS}/inbox", self._called)
        device.listen(f"consultations/+/{name}/to-doctor", self.conversation.take)

    def say(self, patient: str, text: str) -> None:
        """Say something to a patient."""
        self._said += 1
        topic = f"consultations/{patient}/{self.name}/to-patient"
        self.device.publish(topic, _said(self.device, self._said, text))

    def _called(self, message: MQTTMessage) -> None:
        identity = json.loads(message.payload)["consultation"]
        if identity not in self.calls:
            self.calls.append(identity)


def _said(device: Device, number: int, text: str) -> str:
    return json.dumps({"id": f"{device.client_id}-{number}", "text": text})
