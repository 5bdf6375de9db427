"""What the bench says of a storm: brokers that end, devices that are refused, hooks that wait."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from e2e.bench.stormpromises import HOOK_BUDGET_SECONDS, Storm, hooks_too_slow, slowest_hook
from liveconnect.webhook.audit import SECONDS

_BOUNDS = (0.01, 0.1, 1.0, 2.5, 5.0)
_WELL: dict[str, Any] = {"codes": {"0": 10}, "unserved": 0, "cut": 0, "seconds": 20.0}


def histogram(hook: str, durations: Sequence[float]) -> str:
    """The service's histogram, as `/metrics` shows it."""
    name = "liveconnect_webhook_hook_duration_seconds"
    buckets = {f"{bound:g}": sum(one <= bound for one in durations) for bound in _BOUNDS}
    buckets["+Inf"] = len(durations)
    lines = [
        f'{name}_bucket{{hook="{hook}",le="{bound}"}} {count}' for bound, count in buckets.items()
    ]
    lines += [f'{name}_count{{hook="{hook}"}} {len(durations)}', f'{name}_sum{{hook="{hook}"}} 1']
    return "\n".join(lines) + "\n"


def shown(**hooks: Sequence[float]) -> str:
    name = "liveconnect_webhook_hook_duration_seconds"
    return f"# TYPE {name} histogram\n" + "".join(histogram(*one) for one in hooks.items())


def test_the_slowest_hook_is_named() -> None:
    hook, p99 = slowest_hook(shown(auth_on_register=[2.0] * 99 + [4.0], on_register=[0.005] * 100))
    assert hook == "auth_on_register"
    assert 2.4 < p99 <= 2.5


def test_the_name_is_that_of_the_service() -> None:
    (family,) = SECONDS.collect()
    assert family.name in shown(on_register=[1])


@given(st.lists(st.floats(0, 20, allow_nan=False), min_size=1, max_size=300))
def test_the_percentile_is_in_the_bucket_where_it_belongs(durations: list[float]) -> None:
    _, p99 = slowest_hook(shown(on_register=durations))
    true = sorted(durations)[math.ceil(0.99 * len(durations)) - 1]
    bounds = [0.0, *_BOUNDS, math.inf]
    upper = next(bound for bound in bounds if true <= bound and bound > 0)
    lower = bounds[bounds.index(upper) - 1]
    assert lower <= p99 <= upper


def test_no_hook_is_no_measurement() -> None:
    with pytest.raises(RuntimeError, match="no hook was answered"):
        slowest_hook("")


def test_hooks_have_a_budget() -> None:
    assert hooks_too_slow("on_register", HOOK_BUDGET_SECONDS) == []
    assert "VerneMQ waits" in hooks_too_slow("on_register", math.inf)[0]


@pytest.mark.parametrize(
    ("changed", "restarts", "words"),
    [
        ({}, 0, []),
        ({}, 1, ["brokers that ended: 1"]),
        ({"codes": {"0": 8, "5": 2}}, 0, ["refused: 2"]),
        ({"unserved": 3}, 0, ["never let in: 3"]),
        ({"cut": 4}, 1, ["cut off again: 4", "brokers that ended: 1"]),
    ],
)
def test_what_a_storm_breaks(changed: dict[str, Any], restarts: int, words: list[str]) -> None:
    assert Storm([_WELL, {**_WELL, **changed}], restarts).broken() == words
