"""Requests that wait: each answer to its own, bounded in number and time."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.gateway.messages import RequestId
from liveconnect.gateway.publishing import BusyError, LinkDownError, Receipt, ShareError
from liveconnect.gateway.replies import Reply, ReplyTopics
from liveconnect.gateway.requests import KEPT_BYTES, KEPT_SECONDS, Asked, Heard, Requests, token_of

NOW = 1_000_000.0
TOPICS = ReplyTopics("clients/{clientId}/replies")
MOST = 4


def registry(most: int = MOST, longest: int = 100) -> Requests:
    return Requests(0, TOPICS, most, longest)


def begin(
    requests: Requests, caller: str = "shop", client_id: str = "phone", *, kept: bool = True
) -> Asked:
    token = token_of(caller, None)
    return requests.begin(token, caller, client_id, 30, NOW, kept=kept)


def reply(
    asked: Asked, payload: bytes = b"x", client_id: str = "", correlation: bytes | None = None
) -> Reply:
    who = client_id or asked.client_id
    topic = f"clients/{who}/replies/{asked.request.levels}"
    return Reply(topic, payload, correlation=correlation)


async def test_answer_is_its_own_request_s() -> None:
    requests = registry()
    one, other = begin(requests), begin(requests)
    assert requests.hear(reply(one, correlation=str(one.request).encode()), NOW) is Heard.TAKEN
    assert one.answer is not None
    assert one.done.done()
    assert not other.done.done()
    assert requests.waiting == 1
    assert requests.find(one.request.token) is one


async def test_what_is_no_answer() -> None:
    requests = registry()
    asked = begin(requests)
    other_pod = RequestId(1, asked.request.token)
    unknown = RequestId(0, "f" * 32)
    for expected, wrong in (
        (Heard.MALFORMED, Reply("orders/1", b"x")),
        (Heard.MALFORMED, Reply(f"clients/phone/replies/{other_pod.levels}", b"x")),
        (Heard.UNKNOWN, Reply(f"clients/phone/replies/{unknown.levels}", b"x")),
        (Heard.CLIENT, reply(asked, client_id="other")),
        (Heard.CORRELATION, reply(asked, correlation=b"x")),
        (Heard.CORRELATION, reply(asked, correlation=b"")),
        (Heard.SIZE, reply(asked, b"x" * 101)),
    ):
        assert requests.hear(wrong, NOW) is expected
    assert not asked.done.done()
    assert requests.hear(reply(asked), NOW + 30) is Heard.LATE
    assert requests.hear(reply(asked), NOW) is Heard.TAKEN
    assert requests.hear(reply(asked), NOW) is Heard.DUPLICATE


async def test_time_ends_what_waits_and_what_is_kept() -> None:
    requests = registry()
    asked, answered = begin(requests), begin(requests)
    requests.hear(reply(answered), NOW + 1)
    requests.sweep(NOW + 29)
    assert not asked.done.done()
    requests.sweep(NOW + 30)
    assert asked.done.done()
    assert requests.hear(reply(asked), NOW + 31) is Heard.LATE
    requests.sweep(NOW + 1 + KEPT_SECONDS)
    assert requests.find(answered.request.token) is None
    assert requests.find(asked.request.token) is asked
    requests.sweep(NOW + 30 + KEPT_SECONDS)
    assert requests.find(asked.request.token) is None


async def test_nothing_is_left_of_whose_caller_went_away() -> None:
    requests = registry()
    for finish in (False, True):
        asked = begin(requests, kept=False)
        if finish:
            requests.hear(reply(asked), NOW)
        requests.release(asked)
        assert requests.find(asked.request.token) is None
    kept = begin(requests)
    requests.release(kept)
    assert requests.find(kept.request.token) is kept
    assert requests.waiting == 1


async def test_callers_have_shares() -> None:
    requests = registry()
    begin(requests, "greedy")
    begin(requests, "greedy")
    begin(requests, "polite")
    with pytest.raises(ShareError):
        begin(requests, "greedy")
    begin(requests, "polite")
    with pytest.raises(BusyError):
        begin(requests, "third")


async def test_old_answers_make_room() -> None:
    size = KEPT_BYTES // 4
    requests = registry(100, size)
    answered = [begin(requests) for _ in range(6)]
    for asked in answered:
        requests.hear(reply(asked, b"x" * size), NOW)
    found = [requests.find(asked.request.token) is not None for asked in answered]
    assert found == [False, False, False, True, True, True]


async def test_acknowledged_when_a_broker_said_so() -> None:
    loop = asyncio.get_running_loop()
    requests = registry()
    for receipt, expected in ((Receipt.ACKNOWLEDGED, True), (Receipt.STORED, False)):
        asked, done = begin(requests), loop.create_future()
        requests.publishes(asked, done, 1)
        done.set_result(receipt)
        await asyncio.sleep(0)
        assert asked.acknowledged is expected
        requests.forget(asked)
    asked, failed = begin(requests), loop.create_future()
    requests.publishes(asked, failed, 1)
    failed.set_exception(LinkDownError("gone"))
    await asyncio.sleep(0)
    assert not asked.acknowledged


async def test_end_of_the_process_ends_the_waiting() -> None:
    requests = registry()
    asked = begin(requests)
    requests.close(NOW)
    assert asked.done.done()
    with pytest.raises(BusyError):
        begin(requests)


def test_tokens() -> None:
    assert token_of("shop", "k") == token_of("shop", "k")
    assert len({token_of("shop", "k"), token_of("shop", "l"), token_of("other", "k")}) == 3
    assert token_of("shop", None) != token_of("shop", None)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["begin", "answer", "expire", "release", "forget", "sweep"]),
            st.integers(0, 5),
        ),
        max_size=40,
    )
)
def test_counts_are_right_whatever_happens(steps: list[tuple[str, int]]) -> None:
    asyncio.run(play(steps))


async def play(steps: list[tuple[str, int]]) -> None:
    requests, made, now = registry(), [], NOW
    for step, which in steps:
        now += 1
        if step == "begin":
            with contextlib.suppress(BusyError, ShareError):
                made.append(begin(requests, f"caller-{which % 2}", kept=bool(which % 3)))
        elif step == "sweep":
            requests.sweep(now + 100 * which)
        elif made:
            happen(requests, step, made[which % len(made)], now)
        waiting = [one for one in made if not one.done.done()]
        assert requests.waiting == len(waiting) <= MOST
    for asked in made:
        requests.forget(asked)
    assert requests.waiting == 0
    assert requests._finished_bytes == 0
    assert not requests._by_caller


def happen(requests: Requests, step: str, asked: Asked, now: float) -> None:
    if step == "answer":
        requests.hear(reply(asked), now)
    elif step == "expire":
        requests.expire(asked, now)
    elif step == "release":
        requests.release(asked)
    else:
        requests.forget(asked)
