"""`liveconnect-gateway`: the publisher gateway's process."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from pathlib import Path
from typing import Final

import aiohttp

from liveconnect.api.operands import GatewayConfig, RequestOptions
from liveconnect.common.logs import configure_logs, get_logger
from liveconnect.common.process import Draining, run
from liveconnect.common.server import Limits as ServerLimits
from liveconnect.common.server import Operations
from liveconnect.common.serviceaccounts import service_account_issuer
from liveconnect.common.settings import ConfigError, ServiceSettings, load_config
from liveconnect.common.tokens import Issuer, TokenVerifier
from liveconnect.gateway import metrics
from liveconnect.gateway.adapters.forward import Forwarder
from liveconnect.gateway.adapters.outboxfile import OutboxFile
from liveconnect.gateway.adapters.outboxlink import OutboxLink
from liveconnect.gateway.adapters.paho import LinkOptions, PahoLink
from liveconnect.gateway.adapters.peerwatch import PeerWatch
from liveconnect.gateway.adapters.presence import HttpPresence
from liveconnect.gateway.adapters.replylink import ReplyLink
from liveconnect.gateway.adapters.requestfile import RequestFile
from liveconnect.gateway.admission import Admission
from liveconnect.gateway.asking import Asking
from liveconnect.gateway.callers import Callers
from liveconnect.gateway.dispatch import Dispatch
from liveconnect.gateway.fanout import Fanout
from liveconnect.gateway.messages import Limits, Permissions, Topics
from liveconnect.gateway.outbox import OutboxFailedError
from liveconnect.gateway.parked import ParkedMessages
from liveconnect.gateway.peers import Peers
from liveconnect.gateway.ports import Ports
from liveconnect.gateway.quotas import Quotas
from liveconnect.gateway.reading import Reader
from liveconnect.gateway.replies import ReplyTopics
from liveconnect.gateway.requests import Requests
from liveconnect.gateway.routes import Routes

_PURGE_SECONDS: Final = 1.0
_SWEEP_SECONDS: Final = 0.5

_log = get_logger(__name__)


def own_peers(config: GatewayConfig) -> Peers:
    """Return the gateway's pods, as this one sees them."""
    return Peers.of(config.replicas, os.environ.get("POD_NAME", ""))


def make_link(config: GatewayConfig) -> PahoLink:
    """Return the link to the publisher pool."""
    peers = own_peers(config)
    link = PahoLink(
        LinkOptions(
            host=config.broker_host,
            port=config.broker_port,
            token_file=Path(config.token_file),
            name=os.environ.get("POD_NAME") or socket.gethostname(),
            window=config.max_inflight,
            tls=config.broker_tls,
            nodes=config.broker_nodes,
            turn=peers.own,
        )
    )
    metrics.LINK_UP.set_function(lambda: float(link.why_down() is None))
    metrics.WAITING.set_function(link.waiting)
    return link


def make_outbox(link: PahoLink, file: OutboxFile) -> OutboxLink:
    """Return what empties the outbox."""
    outbox = OutboxLink(link.options, file)
    metrics.OUTBOX.set_function(lambda: float(outbox.total))
    metrics.PARKED.set_function(lambda: float(outbox.parked))
    return outbox


def make_requests(config: GatewayConfig, journal: RequestFile) -> Requests | None:
    """Return the requests that wait, with those of an earlier process; None if they are off."""
    options = config.requests
    if options is None:
        journal.clear()
        return None
    topics = ReplyTopics(options.reply_topic)
    pod = own_peers(config).own
    requests = Requests(pod, topics, options.max_pending, options.max_reply_bytes, journal)
    now = time.time()
    requests.restore(journal.load(now), now)
    metrics.REQUESTS_PENDING.set_function(lambda: float(requests.waiting))
    return requests


def make_hearing(
    options: RequestOptions, link: PahoLink, journal: RequestFile, requests: Requests
) -> ReplyLink:
    """Return what hears the answers to them."""
    hearing = ReplyLink(
        link.options,
        ReplyTopics(options.reply_topic).filter(requests.pod),
        journal,
        lambda reply: metrics.heard(requests.hear(reply, time.time())),
    )
    metrics.HEARING.set_function(lambda: float((link.why_down() or hearing.why_deaf()) is None))
    return hearing


def make_watch(config: GatewayConfig, peers: Peers, quotas: Quotas) -> PeerWatch:
    """Return what shares the quotas among the pods that are ready."""
    watch = PeerWatch(
        peers,
        config.peers,
        config.https,
        lambda pods: quotas.share_among(pods, time.monotonic()),
    )
    metrics.READY_PODS.set_function(lambda: float(watch.count))
    return watch


async def keep_sweeping(requests: Requests) -> None:
    """End what waited too long, and forget what nobody fetched, until cancelled."""
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        requests.sweep(time.time())


async def close_in_time(requests: Requests, draining: Draining, settings: ServiceSettings) -> None:
    """Tell callers that still wait at the end of the process that it ends."""
    await draining.wait()
    await asyncio.sleep(settings.drain_delay_seconds + settings.drain_timeout_seconds / 2)
    requests.close()


async def keep_purging(file: OutboxFile) -> None:
    """Forget expired keys until cancelled."""
    while True:
        await asyncio.sleep(_PURGE_SECONDS)
        file.purge(time.time())


def why_not_ready(issuer: Issuer, link: PahoLink) -> str | None:
    """Return None if a caller's message can be taken: published or put into the outbox.

    Who has never reached the brokers is not ready; later they may be away for a while.
    """
    if not issuer.keys.usable:
        return f"no keys to verify callers' tokens with: {issuer.keys.fault}"
    return None if link.was_up else link.why_down()


async def serve(config: GatewayConfig, settings: ServiceSettings) -> None:
    """Run the gateway until SIGTERM.

    At the end requests are answered first and the link is closed after that: what was accepted
    is acknowledged, or its caller is told that it is not.
    """
    draining = Draining()
    draining.install()
    limits = Limits(
        config.max_message_bytes,
        config.max_topic_levels,
        packet_bytes=config.max_message_bytes,
    )
    topics = Topics(config.client_topic, config.group_topic, config.max_topic_levels)
    async with aiohttp.ClientSession() as http:
        issuer = service_account_issuer(config.service_accounts, http)
        link = make_link(config)
        file = OutboxFile(Path(config.outbox_file))
        outbox = make_outbox(link, file)
        dispatch = Dispatch(link, outbox, file, config.max_outbox_messages, time.time)
        link.orphaned = lambda one, error: dispatch.take_orphan(
            one.message, one.caller, one.done, error
        )
        permissions = Permissions(config.callers, config.reply_filter)
        presence = HttpPresence(
            http, config.presence_url, Path(config.token_file), config.presence_tls
        )
        peers = own_peers(config)
        quotas = Quotas(config.callers, time.monotonic(), peers.replicas)
        watch = make_watch(config, peers, quotas)
        admission = Admission(permissions, quotas, presence)
        reader = Reader(limits, topics)
        journal = RequestFile(file)
        requests = make_requests(config, journal)
        asking = hearing = None
        if config.requests is not None and requests is not None:
            hearing = make_hearing(config.requests, link, journal, requests)
            asking = Asking(
                config.requests, limits.topic_levels, reader, admission, dispatch, link, hearing,
                requests, file, peers,
            )  # fmt: skip
        operations = Operations(lambda: why_not_ready(issuer, link), draining)
        routes = Routes(
            Callers(TokenVerifier([issuer]), time.time),
            admission,
            reader,
            dispatch,
            ParkedMessages(file, outbox, dispatch, permissions),
            asking,
            Fanout(reader, admission, dispatch, presence, quotas, draining),
            peers,
            Forwarder(http, config.peers, config.https),
            operations,
        )
        bounds = ServerLimits(body_bytes=limits.batch_bytes)
        ports = Ports(routes, operations, draining, bounds, config.https)
        # A background task that fails ends the process: better none than one that never connects.
        async with asyncio.TaskGroup() as tasks:
            background = [
                tasks.create_task(issuer.keys.keep_fresh()),
                tasks.create_task(link.run()),
                tasks.create_task(outbox.run()),
                tasks.create_task(keep_purging(file)),
            ]
            if quotas and peers.others:
                background.append(tasks.create_task(watch.run()))
            if requests is not None and hearing is not None:
                background += [
                    tasks.create_task(hearing.run()),
                    tasks.create_task(keep_sweeping(requests)),
                    tasks.create_task(close_in_time(requests, draining, settings)),
                ]
            await ports.serve(settings)
            for task in background:
                task.cancel()
        file.close()


def main() -> None:
    """Start the process; exit code 2 if its configuration cannot be used."""
    settings = ServiceSettings()
    configure_logs("gateway", settings.log_level)
    try:
        config = load_config(settings.config_file, GatewayConfig)
        _log.info("starting", cluster=config.cluster, callers=len(config.callers))
        run(serve(config, settings))
    except (ConfigError, OutboxFailedError) as error:
        _log.error("the configuration cannot be used", reason=str(error))
        sys.exit(2)


if __name__ == "__main__":
    main()
