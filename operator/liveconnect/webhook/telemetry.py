"""Metrics of the token providers: are they well, and how often they have to be asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from liveconnect.common.tokens import Issuer, TokenVerifier
from liveconnect.webhook.introspection import Introspection

_PREFIX: Final = "liveconnect_webhook_"


class Providers(Collector):
    """Reads the numbers when they are asked for: counting costs a check nothing then."""

    def __init__(
        self,
        verifier: TokenVerifier,
        issuers: Sequence[Issuer],
        servers: Sequence[Introspection],
        registry: CollectorRegistry = REGISTRY,
    ) -> None:
        self._verifier = verifier
        self._issuers = issuers
        self._servers = servers
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand: the names of issuers are known later."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Give all metrics."""
        yield from self._checks()
        yield from self._health()

    def _checks(self) -> Iterator[Metric]:
        checks = GaugeMetricFamily(
            f"{_PREFIX}token_checks",
            "Token checks by where the answer came from.",
            labels=["source"],
        )
        checks.add_metric(["memory"], self._verifier.hits)
        checks.add_metric(["verification"], self._verifier.misses)
        asked = CounterMetricFamily(
            f"{_PREFIX}introspections",
            "Checks of tokens that are no JWTs, by where the answer came from.",
            labels=["provider", "source"],
        )
        for server in self._servers:
            asked.add_metric([server.name, "memory"], server.hits)
            asked.add_metric([server.name, "server"], server.misses)
        yield checks
        yield asked

    def _health(self) -> Iterator[Metric]:
        labels = ["provider", "kind"]
        up = GaugeMetricFamily(
            f"{_PREFIX}provider_up",
            "Whether a provider's tokens can be checked: keys at hand, or the server answering.",
            labels=labels,
        )
        failures = CounterMetricFamily(
            f"{_PREFIX}provider_failures",
            "Requests to a provider (key sets, introspection) that failed.",
            labels=labels,
        )
        age = GaugeMetricFamily(
            f"{_PREFIX}provider_keys_age_seconds",
            "Time since the keys were confirmed; they are dropped after a day.",
            labels=labels,
        )
        keys = GaugeMetricFamily(
            f"{_PREFIX}issuer_keys", "Usable keys of each issuer.", labels=["issuer"]
        )
        for issuer in self._issuers:
            named = [issuer.name() or issuer.kind.value, f"jwt-{issuer.kind.value}"]
            up.add_metric(named, float(issuer.keys.usable))
            failures.add_metric(named, issuer.keys.failures)
            age.add_metric(named, issuer.keys.age)
            keys.add_metric(named[:1], issuer.keys.count())
        for server in self._servers:
            named = [server.name, "introspection"]
            up.add_metric(named, float(server.available))
            failures.add_metric(named, server.failures)
        yield from (up, failures, age, keys)
