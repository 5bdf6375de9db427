"""What the auth service takes from its environment (`LIVECONNECT_*`)."""

from __future__ import annotations

from liveconnect.common.settings import ServiceSettings


class WebhookSettings(ServiceSettings):
    """Where it listens."""

    hooks_port: int | None = None
    """Port of the hooks, so that a NetworkPolicy can keep everybody but the brokers away from
    them; hooks are answered on `port`, too, when not set."""
