"""Keeps two nodes with one name apart: the one that runs goes on, the other one publishes nothing until it is away.

A node asks before each session with the broker, in a short connection with another client id and without a last will:
a session with its own client id would end that of the other node, and a last will would set the other node to offline.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

from edgepub.core.errors import (
    BrokerError,
    BrokerRefusedError,
    MessageRejectedError,
    NameTakenError,
    SubscriptionRefusedError,
)
from edgepub.mqtt.claim_pacer import ClaimPacer
from edgepub.mqtt.messages import Message, Received
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.presence import ClaimState, Identified, Inquiry, parse_claim
from edgepub.mqtt.session import Session
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.status import BrokerStatus

_AWAY_S = 40.0
"""A node that ran must be away for so long: it may only restart, or have lost its connection."""
_RIVAL_S = 75.0
"""A node that waits counts as gone after this time without a question; it asks at least every 30 s."""
_ANNOUNCE_AFTER_S = 2.0
"""By then, the broker has granted the subscription."""
_REPORT_AFTER_S = 1.5  # a node that was killed does not wait longer for itself
_MAX_FAILED_LOOKS = 3
_SUBSCRIBE_TURNS = 3
"""Turns of the event loop until a subscription is written. A claim before it has no echo, and costs time."""
_ANSWER_INTERVAL_S = 1.0
_MAX_ANSWERS = 32
"""In an interval. One that asks takes any answer, also one to another node."""
_RESEND_INTERVAL_S = 5.0
_NOTE = "name"
_WAY_OUT = "give one of the two another name (`node`), or stop one"
_log = logging.getLogger(__name__)


class NameClaim:
    """The claim of one run of a node to its name.

    Args:
        topics: the node's topics.
        own: this run of this node.
        is_new: whether this node has never run before.
        former: returns the topics of other names under which the state of this node was published.
        outbox: takes the answers to other nodes, and sends states again that another node has overwritten.
        status: gets the other node that waits.
        on_copy: called with a former name under which another node runs: this node's state is a copy of that node's.
        clock: monotonic seconds.

    """

    def __init__(
        self,
        topics: Topics,
        own: Identified,
        former: Callable[[], Iterable[Topics]],
        outbox: Outbox,
        status: BrokerStatus,
        on_copy: Callable[[str], None],
        *,
        is_new: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._topics = topics
        self._own = own
        self._former = former
        self._outbox = outbox
        self._status = status
        self._on_copy = on_copy
        self._is_new = is_new
        self._clock = clock
        self._are_former_free = False
        self._other: Identified | None = None
        self._taken_until_s = 0.0
        self._failed_looks = 0
        self._is_announced = False  # in this session, and the broker has returned it
        self._forgetting: asyncio.TimerHandle | None = None
        self._answers: ClaimPacer[tuple[Identified, bool]] = ClaimPacer(self._answer, _ANSWER_INTERVAL_S, _MAX_ANSWERS)
        self._resends: ClaimPacer[None] = ClaimPacer(lambda _: outbox.resend(), _RESEND_INTERVAL_S, 1)

    @asynccontextmanager
    async def guard(
        self,
        look: Callable[[str], AbstractAsyncContextManager[Session]],
        connect: Callable[[], AbstractAsyncContextManager[Session]],
    ) -> AsyncIterator[Session]:
        """Open the node's session, unless another node with the same name runs.

        If the broker does not allow the question, the session is opened without it.

        Args:
            look: opens a session with this client id, without a last will.
            connect: opens the node's session.

        Raises:
            NameTakenError: another node with the same name runs, or did a short while ago.
            BrokerError: no connection.

        """
        await self._check(look)
        async with connect() as session:
            self._is_announced = False
            if self._other:
                self._other = None
                self._outbox.resend()  # what is retained now is that node's, perhaps without its checkpoint
            # The stream lane comes behind the states: a node that runs and hears this sends its own states again.
            running = self._claim("running")
            announcement = asyncio.get_running_loop().call_later(_ANNOUNCE_AFTER_S, self._outbox.put, running)
            try:
                yield session
            except NameTakenError:
                with suppress(BrokerError):
                    session.send(running)  # so that the other node sends its own states again
                raise
            finally:
                announcement.cancel()

    def on_message(self, message: Received) -> None:
        """Take a message on `P/info/claim` in the node's session.

        Raises:
            NameTakenError: another node with the same name runs, and was first.

        """
        claim = parse_claim(message)
        if claim is None:
            return
        other, addressee = Identified(claim["node_id"], claim["boot_id"]), claim["to"]
        is_announcement = claim["state"] == "running" and addressee is None
        if other.boot_id == self._own.boot_id:
            self._is_announced = self._is_announced or is_announcement
        elif addressee == self._own.boot_id or (is_announcement and not self._is_announced):
            self._give_way(other)  # of two that began together, the broker's order decides
        elif addressee is None:
            self._answers.put((other, claim["state"] != "asking"))
            if claim["state"] in {"starting", "running"}:
                self._resends.put(None)  # it may have published

    async def _check(self, look: Callable[[str], AbstractAsyncContextManager[Session]]) -> None:
        """Ask whether another node runs under this name, or under a former one."""
        former = [] if self._are_former_free else [Inquiry(topics, self._own) for topics in self._former()]
        name = Inquiry(self._topics, self._own, is_new=self._is_new)
        try:
            await self._look(look, [name, *former])
        except BrokerRefusedError as error:  # of this client id, perhaps
            _log.debug("no question whether another node has this name: %s", error)
            return
        except BrokerError as error:
            self._failed_looks += 1
            is_at_risk = former or self._clock() < self._taken_until_s
            if is_at_risk and self._failed_looks < _MAX_FAILED_LOOKS:
                raise
            _log.debug("no question whether another node has this name: %s", error)
            return
        self._failed_looks = 0
        for inquiry in former:
            if inquiry.other:
                self._on_copy(inquiry.topics.node)
                text = f"the state directory is a copy of that of node {inquiry.topics.node}, which is running"
                raise NameTakenError(text)
        self._are_former_free = True
        if name.other:
            self._give_way(name.other)
        if (wait_s := self._taken_until_s - self._clock()) > 0:
            raise NameTakenError(
                f"another edgepub ran as node {self._topics.node} until a short while ago ({self._other}); this one "
                f"(node_id {self._own.node_id}) publishes if that one stays away for {wait_s:.0f} s more"
            )

    async def _look(
        self, look: Callable[[str], AbstractAsyncContextManager[Session]], inquiries: Sequence[Inquiry]
    ) -> None:
        async with look(f"edgepub-claim-{secrets.token_hex(4)}") as session:
            asked = [inquiry for inquiry in inquiries if await self._ask(session, inquiry)]
            if asked:
                await self._wait_for_answers(session, asked)

    async def _ask(self, session: Session, inquiry: Inquiry) -> bool:
        """Send a claim under a name; return whether the broker allows that."""
        if inquiry.topics != self._topics:
            state: ClaimState = "asking"
        else:
            state = "waiting" if self._clock() < self._taken_until_s else "starting"

        async def send() -> None:
            for _ in range(_SUBSCRIBE_TURNS):
                await asyncio.sleep(0)
            # QoS 0: a broker may acknowledge nothing. What shows that it was sent is its echo.
            session.send(self._own.claim(inquiry.topics.claim, state))

        calls = [*map(session.subscribe, inquiry.filters), send()]  # all in one round trip
        for error in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(error, SubscriptionRefusedError | MessageRejectedError):
                _log.debug("no question whether another node has this name: %s", error)
                return False
            if error is not None:
                raise error
        return True

    async def _wait_for_answers(self, session: Session, inquiries: Sequence[Inquiry]) -> None:
        """Read messages until another node has answered, or none of the inquiries waits any more."""
        loop, former_problem = asyncio.get_running_loop(), self._status.problem
        asked_s = loop.time()

        def deadline_s() -> float:
            return asked_s + max(inquiry.timeout_s for inquiry in inquiries)

        report = loop.call_later(_REPORT_AFTER_S, self._report_wait, inquiries)
        try:
            async with asyncio.timeout_at(deadline_s()) as limit:
                async for message in session.messages():
                    for inquiry in inquiries:
                        inquiry.feed(message)
                    if any(inquiry.other for inquiry in inquiries):
                        return
                    limit.reschedule(deadline_s())
        except TimeoutError:
            pass
        finally:
            report.cancel()
            self._status.problem = former_problem

    def _report_wait(self, inquiries: Iterable[Inquiry]) -> None:
        """Report for which names an answer is awaited: else it looks as if the broker did not answer."""
        waits = {inquiry.topics.node: inquiry.timeout_s for inquiry in inquiries if inquiry.timeout_s > _REPORT_AFTER_S}
        text = (
            f"asking whether a node {' or '.join(waits)} runs already, because its status on the broker is online; "
            f"waiting up to {max(waits.values(), default=0.0):.0f} s for an answer"
        )
        _log.info("%s", text)
        self._status.problem = text

    def _claim(self, state: ClaimState, to: str | None = None) -> Message:
        return self._own.claim(self._topics.claim, state, to)

    def _give_way(self, other: Identified) -> None:
        self._other = other
        self._taken_until_s = self._clock() + _AWAY_S
        raise NameTakenError(
            f"another edgepub runs as node {self._topics.node} ({other}); this one (node_id {self._own.node_id}) "
            f"publishes nothing until that one is away: {_WAY_OUT}"
        )

    def _answer(self, asker: tuple[Identified, bool]) -> None:
        """Answer a claim of another node, which may want this name."""
        other, is_rival = asker
        self._outbox.put(self._claim("running", other.boot_id))
        if is_rival:
            self._warn_of(other)

    def _warn_of(self, other: Identified) -> None:
        text = (
            f"another edgepub wants to run as node {self._topics.node} ({other}); it publishes nothing until this one "
            f"(node_id {self._own.node_id}) is away: {_WAY_OUT}"
        )
        _log.warning("%s", text)
        self._status.notes[_NOTE] = text
        if self._forgetting:
            self._forgetting.cancel()
        self._forgetting = asyncio.get_running_loop().call_later(_RIVAL_S, self._status.notes.pop, _NOTE, None)
