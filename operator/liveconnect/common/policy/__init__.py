"""Who may connect, subscribe and publish. Pure, and by default: nobody, nothing.

The auth service decides by it, and so does the simulator on the command line.
"""

from liveconnect.common.policy.access import Identity, Policy
from liveconnect.common.policy.canary import CanaryPolicy
from liveconnect.common.policy.decisions import (
    ConnectAllowed,
    Granted,
    PublishAllowed,
    Reason,
    Refused,
    SubscribeDecision,
)
from liveconnect.common.policy.pool import Pool
from liveconnect.common.policy.replies import Replies
from liveconnect.common.policy.requests import Publication, Subscription
from liveconnect.common.policy.rules import RuleTemplate, TemplateError

__all__ = [
    "CanaryPolicy",
    "ConnectAllowed",
    "Granted",
    "Identity",
    "Policy",
    "Pool",
    "Publication",
    "PublishAllowed",
    "Reason",
    "Refused",
    "Replies",
    "RuleTemplate",
    "SubscribeDecision",
    "Subscription",
    "TemplateError",
]
