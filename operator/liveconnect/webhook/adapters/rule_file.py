"""What may change while the service runs, topic rules above all: taken from the configuration file.

The kubelet replaces the file by swapping a symbolic link. The file is looked at every second; an
inotify watch would be one of the few that a node has for all its pods.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from prometheus_client import Counter, Gauge

from liveconnect.api.operands import AuthConfig
from liveconnect.common.logs import get_logger
from liveconnect.common.policy import Policy, Replies, RuleTemplate, TemplateError
from liveconnect.common.server import Request, Response
from liveconnect.common.settings import ConfigError, load_config

_LOOK_SECONDS: Final = 1.0

RULES: Final = Gauge("liveconnect_webhook_rules", "Topic rules in use.")
RELOADS: Final = Counter(
    "liveconnect_webhook_rule_reloads_total",
    "Changes of the rules by outcome (used, refused).",
    ["outcome"],
)

_log = get_logger(__name__)

_Stamp = tuple[int, int, int] | None


def make_templates(config: AuthConfig) -> tuple[RuleTemplate, ...]:
    """Return the rules; one that cannot be used is left out, which denies what it allowed."""
    rules = []
    for rule in config.topics:
        try:
            rules.append(RuleTemplate.of(rule, rule.source))
        except TemplateError as error:
            _log.error("topic rule left out", source=rule.source, reason=str(error))
    return tuple(rules)


def make_replies(config: AuthConfig) -> Replies | None:
    """Return the rule of answers; if it cannot be used there is none, which denies them."""
    if config.replies is None:
        return None
    try:
        return Replies(config.replies)
    except (TemplateError, ValueError) as error:
        _log.error("requests' answers are denied", reason=str(error))
        return None


class RuleFile:
    """Follows the configuration file: the rules, and whether the plain port answers all."""

    def __init__(self, path: Path, config: AuthConfig) -> None:
        """Begin with the rules that the service was started with.

        Args:
            path: the configuration file.
            config: what was in it.
        """
        self._path = path
        self._stamp: _Stamp = None
        self._uses: list[Callable[[Policy], None]] = []
        self.replaced: tuple[RuleTemplate, ...] = ()
        """The rules that the last change replaced."""
        self.plain_api = config.plain_api
        """Whether the API is served without TLS, too."""
        self._take(config, make_templates(config), make_replies(config))

    def _take(
        self, config: AuthConfig, templates: tuple[RuleTemplate, ...], replies: Replies | None
    ) -> None:
        self.templates = templates
        self.policy = Policy(templates, config.publishers, config.canary, replies)
        self.digest = config.rules_digest()
        self.count = len(config.topics)
        RULES.set(self.count)

    def on_change(self, use: Callable[[Policy], None]) -> None:
        """Have a function called with every later policy."""
        self._uses.append(use)

    def answer(self, _request: Request) -> Response:
        """Say which rules are in use, for the operator; not what they are."""
        body = msgspec.json.encode({"digest": self.digest, "rules": self.count})
        return Response(body, headers={"Cache-Control": "no-store"})

    async def follow(self) -> None:
        """Look at the file for as long as the process lives."""
        while True:
            await self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    async def look(self) -> None:
        """Use the file's rules if they have changed. Those of a file that is no good are not."""
        stamp = _stamp_of(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            # Off the loop: hooks are answered while thousands of rules are read.
            config = await asyncio.to_thread(load_config, self._path, AuthConfig)
            self.plain_api = config.plain_api
            if config.rules_digest() == self.digest:
                return
            templates = await asyncio.to_thread(make_templates, config)
        except ConfigError as error:
            RELOADS.labels("refused").inc()
            _log.error("the changed rules cannot be used; the old ones stay", reason=str(error))
            return
        self.replaced = self.templates
        self._take(config, templates, make_replies(config))
        RELOADS.labels("used").inc()
        _log.info("rules in use", rules=self.count, digest=self.digest)
        for use in self._uses:
            use(self.policy)


def _stamp_of(path: Path) -> _Stamp:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
