"""Who may connect, subscribe and publish. Pure, and by default: nobody, nothing."""

from liveconnect.common.topics import covers, inner_filter, is_valid_filter, is_valid_name
from liveconnect.webhook.policy.access import Policy
from liveconnect.webhook.policy.decisions import (
    ConnectAllowed,
    PublishAllowed,
    Reason,
    Refused,
    SubscribeDecision,
)
from liveconnect.webhook.policy.rules import RuleTemplate, TemplateError

__all__ = [
    "ConnectAllowed",
    "Policy",
    "PublishAllowed",
    "Reason",
    "Refused",
    "RuleTemplate",
    "SubscribeDecision",
    "TemplateError",
    "covers",
    "inner_filter",
    "is_valid_filter",
    "is_valid_name",
]
