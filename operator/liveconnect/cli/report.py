"""How answers are shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from liveconnect.cli.question import Answer
from liveconnect.common.policy import Reason, RuleTemplate
from liveconnect.common.policy.delegation import Verdict

#: What people can do about a refusal.
_ADVICE = {
    Reason.NO_RULE: "no rule covers it; `kubectl liveconnect rules` lists those of this device",
    Reason.INVALID_TOPIC: "no valid topic here: wildcards, empty, too long, or begins with $",
    Reason.QOS: "the rule allows a lower QoS only",
    Reason.RETAIN: "the rule has no allowRetain",
    Reason.PAYLOAD_SIZE: "larger than the rule's maxPayloadBytes, or say --payload-bytes",
    Reason.CLIENT_ID: "the claims are another client's: the claim for the client id must equal it",
    Reason.UNKNOWN_BACKEND: "spec.gateway.callers does not name this ServiceAccount",
    Reason.SUBSCRIBE_ON_PUBLISHER_POOL: (
        "nobody subscribes on the publisher pool, but the gateway's pods for answers (--client-id)"
    ),
    Reason.REPLY_TOPIC: "devices answer the gateway there, and nobody in their name",
    Reason.DEVICE_ON_PUBLISHER_POOL: "devices connect to the subscriber pool",
    Reason.BACKEND_ON_SUBSCRIBER_POOL: "backends connect to the publisher pool",
}


def show_answers(console: Console, answers: Sequence[Answer], *, as_json: bool) -> None:
    """Write the answers, one line each."""
    if as_json:
        console.print_json(json.dumps([asdict(answer) for answer in answers]))
        return
    for answer in answers:
        console.print(_line(answer), markup=False, highlight=False, soft_wrap=True)


def _line(answer: Answer) -> str:
    rule = f" – {answer.rule}" if answer.rule else ""
    if answer.allowed:
        granted = "" if answer.qos is None else f" with QoS {answer.qos}"
        return f"yes: {answer.what}{granted}{rule}"
    advice = _ADVICE.get(Reason(answer.reason), "") if answer.reason in set(Reason) else ""
    return f"no: {answer.what}: {answer.reason}{rule}{f' ({advice})' if advice else ''}"


def show_rules(
    console: Console, rules: Sequence[tuple[RuleTemplate, str]], *, as_json: bool
) -> None:
    """Write the rules of one device."""
    if as_json:
        console.print_json(json.dumps([_fields(rule, text) for rule, text in rules]))
        return
    table = Table("FILTER", "ALLOW", "QOS", "RETAIN", "BYTES", "STATED IN", box=None)
    for rule, text in rules:
        table.add_row(*(str(value) for value in _fields(rule, text).values()))
    console.print(table, highlight=False)


def _fields(rule: RuleTemplate, text: str) -> dict[str, object]:
    return {
        "filter": text,
        "allow": ",".join(sorted(rule.actions)),
        "maxQoS": rule.max_qos,
        "allowRetain": rule.allow_retain,
        "maxPayloadBytes": "" if rule.max_payload_bytes is None else rule.max_payload_bytes,
        "source": rule.source,
    }


def show_refused_objects(console: Console, verdicts: Sequence[Verdict]) -> None:
    """Say which topic objects are not in force: their rules had no say in the answer."""
    for verdict in verdicts:
        if not verdict.accepted:
            text = f"not in force: {verdict.topic}: {verdict.reason.value}: {verdict.message}"
            console.print(text, markup=False, highlight=False, soft_wrap=True)
