"""The auth service: VerneMQ's webhooks, access tokens, topic rules, presence."""
