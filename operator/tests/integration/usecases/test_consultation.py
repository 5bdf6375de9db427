"""Tele-consultation: the acceptance reaches the waiting patient; both directions."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from e2e.usecases.consultation.apps import DoctorApp, PatientApp
from e2e.usecases.consultation.desk import Desk, Patient
from liveconnect.client import Client
from tests.integration.usecases.conftest import MakeDevice, start
from tests.integration.webhook.world import eventually


def test_a_doctor_accepts_and_both_talk(liveconnect: Client, device: MakeDevice) -> None:
    desk = Desk(liveconnect)
    patient = PatientApp(device("phone-ann"), "ann")
    doctors = [DoctorApp(device(f"tablet-{name}"), name) for name in ("bo", "cy")]
    start(patient.device, *(doctor.device for doctor in doctors))

    consultation = desk.ask_for_doctor(Patient("ann", "phone-ann"), "a cough")
    eventually(lambda: all(consultation in doctor.calls for doctor in doctors))
    with pytest.raises(LookupError, match="no doctor"):
        patient.say("Hello?")

    # Both doctors accept at once: one gets the patient.
    with ThreadPoolExecutor(2) as hands:
        given = list(hands.map(lambda doctor: desk.accept(consultation, doctor.name), doctors))
    assert sorted(one is None for one in given) == [False, True]
    doctor, other = doctors if given[0] is not None else reversed(doctors)
    eventually(lambda: patient.doctor == doctor.name)

    patient.say("It began on Monday.")
    doctor.say("ann", "Any fever?")
    patient.say("No.")
    eventually(lambda: len(doctor.conversation.heard) == 2)
    eventually(lambda: patient.conversation.heard == ["Any fever?"])
    assert doctor.conversation.heard == ["It began on Monday.", "No."]
    assert other.conversation.heard == []


def test_the_acceptance_reaches_a_patient_who_was_away(
    liveconnect: Client, device: MakeDevice
) -> None:
    desk = Desk(liveconnect)
    patient = PatientApp(device("phone-dee"), "dee")
    doctor = DoctorApp(device("tablet-eve"), "eve")
    start(patient.device, doctor.device)
    consultation = desk.ask_for_doctor(Patient("dee", "phone-dee"), "a rash")
    eventually(lambda: consultation in doctor.calls)

    patient.device.drop_network()
    assert desk.accept(consultation, "eve") is not None
    eventually(lambda: patient.doctor == "eve")

    # What is said without a network is said, in order, once there is one.
    patient.device.drop_network()
    for text in ("one", "two", "three"):
        patient.say(text)
    eventually(lambda: len(doctor.conversation.heard) == 3)
    assert doctor.conversation.heard == ["one", "two", "three"]
