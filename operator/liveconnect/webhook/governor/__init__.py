"""How fast clients are let in when many come at once. Pure: `now` is an argument.

A hook can say nothing but yes or *not authorized*, which clients may take as final; so who is good
is paced by holding the answer back, and never refused (docs/adr/0019-connect-governor.md).
"""

from liveconnect.webhook.governor.bucket import Bucket
from liveconnect.webhook.governor.offenders import Offenders
from liveconnect.webhook.governor.pacer import Limits, Pacer, Priority

__all__ = ["Bucket", "Limits", "Offenders", "Pacer", "Priority"]
