"""Requests that wait: each answer to its own, bounded in number and time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from liveconnect.gateway.messages import RequestId
from liveconnect.gateway.publishing import BusyError, LinkDownError, Receipt, ShareError
from liveconnect.gateway.remembered import Remembered
from liveconnect.gateway.replies import Reply, ReplyTopics
from liveconnect.gateway.requests import KEPT_BYTES, KEPT_SECONDS, Asked, Heard, Requests, token_of

NOW = 1_000_000.0
TOPICS = ReplyTopics("clients/{clientId}/replies")
MOST = 4


class Notebook:
    """A journal in memory: what a process that starts now would read."""

    def __init__(self) -> None:
        self.rows: dict[str, Remembered] = {}

    def add(self, one: Remembered) -> None:
        self.rows[one.token] = one

    def acknowledge(self, token: str) -> None:
        self._change(token, acknowledged=True)

    def answer(self, token: str, reply: Reply, now: float) -> None:
        self._change(token, answer=reply, finished=now)

    def remove(self, token: str) -> None:
        self.rows.pop(token, None)

    def copy(self) -> Notebook:
        made = Notebook()
        made.rows = dict(self.rows)
        return made

    def _change(self, token: str, **fields: Any) -> None:
        if token in self.rows:
            self.rows[token] = msgspec.structs.replace(self.rows[token], **fields)


def registry(most: int = MOST, longest: int = 100, journal: Notebook | None = None) -> Requests:
    return Requests(0, TOPICS, most, longest, journal or Notebook())


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


async def test_end_of_the_process_tells_who_waits_and_keeps_what_is_written_down() -> None:
    notebook = Notebook()
    requests = registry(journal=notebook)
    asked = begin(requests)
    requests.close()
    requests.close()
    assert requests.closed
    assert asked.done.done()
    assert requests.awaits(asked)
    assert requests.hear(reply(asked), NOW) is Heard.TAKEN
    assert notebook.rows[asked.request.token].answer == reply(asked)
    with pytest.raises(BusyError):
        begin(requests)


# --- over a restart


def restarted(notebook: Notebook, now: float, most: int = MOST) -> Requests:
    """What a process has that starts then."""
    requests = registry(most, KEPT_BYTES, notebook)
    requests.restore(list(notebook.rows.values()), now)
    return requests


async def test_what_somebody_may_come_back_for_outlives_the_process() -> None:
    notebook = Notebook()
    first = registry(journal=notebook)
    waiting, answered = begin(first), begin(first)
    gone, fleeting = begin(first, "other"), begin(first, "other", kept=False)
    first.hear(reply(answered, b"here"), NOW + 1)
    first.forget(gone)
    published: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
    first.publishes(waiting, published, 1)
    published.set_result(Receipt.ACKNOWLEDGED)
    await asyncio.sleep(0)

    second = restarted(notebook, NOW + 10)
    assert second.waiting == 1
    for asked in (gone, fleeting):
        assert second.find(asked.request.token) is None
    found = second.find(answered.request.token)
    assert found is not None
    assert found.answer == reply(answered, b"here")
    assert found.done.done()
    same = second.find(waiting.request.token)
    assert same is not None
    assert (same.caller, same.client_id, same.request) == ("shop", "phone", waiting.request)
    assert (same.acknowledged, same.expires) == (True, waiting.expires)
    assert second.hear(reply(waiting, client_id="other"), NOW + 11) is Heard.CLIENT
    assert second.hear(reply(fleeting), NOW + 11) is Heard.UNKNOWN
    assert second.hear(reply(waiting, b"late enough"), NOW + 11) is Heard.TAKEN
    assert second.hear(reply(waiting, b"again"), NOW + 11) is Heard.DUPLICATE

    third = restarted(notebook, NOW + 12)
    assert third.waiting == 0
    assert third.hear(reply(waiting, b"again"), NOW + 12) is Heard.DUPLICATE


async def test_time_goes_on_while_the_process_is_away() -> None:
    notebook = Notebook()
    first = registry(journal=notebook)
    expired, answered = begin(first), begin(first)
    first.hear(reply(answered), NOW + 1)
    second = restarted(notebook, NOW + 31)
    found = second.find(expired.request.token)
    assert found is not None
    assert found.done.done()
    assert second.hear(reply(expired), NOW + 31) is Heard.LATE
    third = restarted(notebook, NOW + 1 + KEPT_SECONDS)
    assert third.find(answered.request.token) is None
    assert set(notebook.rows) == {expired.request.token}
    restarted(notebook, NOW + 30 + KEPT_SECONDS)
    assert not notebook.rows


async def test_what_is_restored_is_bounded() -> None:
    notebook = Notebook()
    first = registry(100, KEPT_BYTES, notebook)
    answered = [begin(first) for _ in range(6)]
    for number, asked in enumerate(answered):
        size = KEPT_BYTES // 4
        notebook.answer(asked.request.token, reply(asked, b"x" * size), NOW + number)
    second = restarted(notebook, NOW + 10)
    found = [second.find(asked.request.token) is not None for asked in answered]
    assert found == [False, False, False, True, True, True]
    assert len(notebook.rows) == 3
    for _ in range(MOST):
        begin(first)
    crowded = restarted(notebook, NOW + 10, most=2)
    assert crowded.waiting == MOST
    with pytest.raises(BusyError):
        begin(crowded)


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
    notebook = Notebook()
    requests, made, now = registry(journal=notebook), [], NOW
    for step, which in steps:
        now += 1
        if step == "begin":
            with contextlib.suppress(BusyError, ShareError):
                made.append(begin(requests, f"caller-{which % 2}", kept=bool(which % 3)))
        elif step == "sweep":
            now += 100 * which
            requests.sweep(now)
        elif made:
            asked = made[which % len(made)]
            now = max(now, asked.expires) if step == "expire" else now
            happen(requests, step, asked, now)
            requests.sweep(now)
        waiting = [one for one in made if not one.done.done()]
        assert requests.waiting == len(waiting) <= MOST
        check_restart(requests, notebook, now)
    for asked in made:
        requests.forget(asked)
    assert requests.waiting == 0
    assert requests._finished_bytes == 0
    assert not requests._by_caller
    assert not notebook.rows


def check_restart(requests: Requests, notebook: Notebook, now: float) -> None:
    """A process that starts now knows of each request that somebody may come back for the same."""
    again = restarted(notebook.copy(), now)
    for known in (requests._waiting | requests._finished).values():
        found = again.find(known.request.token)
        if not known.kept:
            assert found is None
        elif known.answer is not None or known.expires + KEPT_SECONDS > now:
            assert found is not None
            assert (found.answer, found.expires) == (known.answer, known.expires)
            assert found.done.done() is (known.done.done() or known.expires <= now)


def happen(requests: Requests, step: str, asked: Asked, now: float) -> None:
    if step == "answer":
        requests.hear(reply(asked), now)
    elif step == "expire":
        requests.expire(asked, now)
    elif step == "release":
        requests.release(asked)
    else:
        requests.forget(asked)
