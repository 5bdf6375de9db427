"""A node's metrics, as VerneMQ shows them."""

from __future__ import annotations

from pathlib import Path

import pytest

from liveconnect.webhook.adapters.brokers import parse_vitals

RECORDED = Path(__file__).parents[2] / "contract" / "broker" / "recordings" / "metrics.prom"


def test_the_recorded_metrics() -> None:
    vitals = parse_vitals("10.0.0.1", RECORDED.read_text())
    assert vitals.node.startswith("VerneMQ")
    assert vitals.address == "10.0.0.1"
    assert vitals.uptime_ms > 0


def test_presence_hooks_that_failed_are_added_up_and_others_are_not() -> None:
    lines = [
        'vernemq_total_active_connections{node="VerneMQ@a"} 7',
        'vernemq_system_wallclock{node="VerneMQ@a"} 1200',
        'vernemq_webhooks_on_register_errors{node="VerneMQ@a"} 2',
        'vernemq_webhooks_on_register_m5_errors{node="VerneMQ@a"} 3',
        'vernemq_webhooks_on_client_gone_errors{node="VerneMQ@a"} 4',
        'vernemq_webhooks_auth_on_register_errors{node="VerneMQ@a"} 100',
        'vernemq_webhooks_on_register_requests{node="VerneMQ@a"} 100',
    ]
    vitals = parse_vitals("::1", "\n".join(lines))
    assert (vitals.node, vitals.connections, vitals.uptime_ms) == ("VerneMQ@a", 7, 1200)
    assert vitals.hook_errors == 9


@pytest.mark.parametrize("text", ["", "<html>", "vernemq_total_active_connections{} x"])
def test_what_is_no_metrics_page(text: str) -> None:
    with pytest.raises(ValueError, match=r"node|float"):
        parse_vitals("10.0.0.1", text)
