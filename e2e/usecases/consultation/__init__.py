"""Tele-consultation: a patient waits, a doctor accepts, and both talk to each other.

    patient ──HTTPS──▶ desk ──group──▶ doctors            who is free?
    doctor  ──HTTPS──▶ desk ──client─▶ patient            a doctor has accepted
    patient ◀───────── MQTT ─────────▶ doctor             what they say, both directions

Their topics carry both names, `consultations/{patient}/{doctor}/…`, so that the rules can say who
may speak where: nobody speaks in another's name, and no patient hears another one.
"""
