"""One connection to a broker through aiomqtt; the fast path and the slow path send and receive with it."""

import asyncio
import contextlib
import os
import socket
import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, TypeVar

import aiomqtt
from paho.mqtt.properties import Properties

from edgepub.mqtt.limits import Limits
from edgepub.mqtt.messages import Message, OnDone
from edgepub.mqtt.paho_internals import paho_of, retrieve_errors
from edgepub.mqtt.paho_log import PahoLog
from edgepub.mqtt.protocol import (
    KEEP_ALIVE_TIMEOUT,
    EndedError,
    NoAnswerError,
    reason_code,
)
from edgepub.mqtt.socket_reader import SocketReader

MAX_IN_FLIGHT = 64
"""How many messages may be in flight, unless the broker allows fewer."""
_DISCONNECT_TIMEOUT_S = 1.0
_TLS_REFUSAL_TIMEOUT_S = 0.1
"""With TLS 1.3 a broker refuses us after the handshake (RFC 8446, 4.4.2.4), and its reason is lost if we write then."""
_T = TypeVar("_T")


class Client(ABC):
    """Opens a connection, subscribes, and notices each end of the connection.

    It writes and reads in the callbacks of paho, in place of aiomqtt.

    Args:
        mqtt: the client of aiomqtt, not connected; `log` is its logger.
        log: the log of paho.
        on_done: called in the event loop for each message of `send` when the socket has taken it (QoS 0) or the
            broker has acknowledged or refused it (QoS 1).

    Attributes:
        mqtt: the client of aiomqtt.
        log: the log of paho.
        max_in_flight: how many messages of QoS 1 may be in flight, if the broker allows as many.
        limits: what the broker takes.

    """

    max_in_flight: int

    def __init__(self, mqtt: aiomqtt.Client, log: PahoLog, on_done: OnDone) -> None:
        self.mqtt = mqtt
        self.log = log
        self.limits = Limits()
        self._on_done = on_done
        self._loop = asyncio.get_running_loop()
        self._paho = paho_of(mqtt)
        retrieve_errors(mqtt)
        self._granted: Properties | None = None  # in CONNACK
        self._has_connack = False
        self._is_abandoned = False
        self._failure: asyncio.Future[aiomqtt.MqttError] = self._loop.create_future()
        if self._paho:
            self._add_callback("on_connect", self._on_connect)
            self._add_callback("on_disconnect", self._on_disconnect)
            self._paho.on_socket_open = self._on_socket_open(self._paho.on_socket_open)
            self._paho.on_socket_register_write = self._on_socket_register_write

    async def open(self) -> None:
        """Connect, and wait for CONNACK.

        Raises:
            MqttError: no connection; NoAnswerError if it ends before CONNACK, which aiomqtt does not notice.
            ValueError: the host is not a name.

        """
        opening = asyncio.ensure_future(self.mqtt.__aenter__())
        try:
            await asyncio.wait((opening, self._failure), return_when=asyncio.FIRST_COMPLETED)
            if not opening.done() and not self._has_connack:
                raise NoAnswerError if reason_code(self._failure.result()) == KEEP_ALIVE_TIMEOUT else EndedError
            await opening
        except asyncio.CancelledError:
            self.abandon()
            raise
        finally:
            opening.cancel()
        if self._paho:
            self._paho.disable_logger()  # paho would call it for each message

    async def close(self) -> None:
        """Disconnect, within a second."""
        self.mqtt.timeout = _DISCONNECT_TIMEOUT_S
        with contextlib.suppress(aiomqtt.MqttError):
            await self.mqtt.__aexit__(None, None, None)
        self._close_socket()

    def hang_up(self) -> None:
        """End the connection without a DISCONNECT, after which the broker publishes the last will."""
        sock = self._paho and self._paho.socket()
        if sock is None or sock.fileno() < 0:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(fileno=os.dup(sock.fileno())) as raw,
        ):  # below TLS and WebSocket
            raw.shutdown(socket.SHUT_RDWR)

    def abandon(self) -> None:
        """Give up a connection that is being made: it would become a second one, with our last will."""
        self._is_abandoned = True
        self._disconnect()
        self._close_socket()

    def granted(self, name: str, default: int) -> int:
        """Return a property of CONNACK."""
        return int(getattr(self._granted, name, default))

    @abstractmethod
    def properties(self, message: Message) -> Properties:
        """Return the properties of a message (MQTT 5)."""

    @abstractmethod
    def send(self, message: Message, payload: bytes, properties: Properties | None) -> None:
        """Start to send a message; `on_done` is called when it is done.

        Raises:
            MqttError: the connection is broken.
            MessageRejectedError: the topic is not valid.

        """

    @abstractmethod
    async def publish(self, message: Message, payload: bytes, properties: Properties | None) -> None:
        """Send a message and wait until it is done; errors as in `send`, and if the broker refuses it."""

    @abstractmethod
    async def ping(self) -> None:
        """Return when the broker has answered a ping, and so has read all that was sent before."""

    async def subscribe(self, topic: str) -> Sequence[Any]:
        """Subscribe to a topic at QoS 1; return the reason codes.

        Raises:
            MqttError: the session is over, or the broker does not answer.

        """
        return await self._unless_lost(self.mqtt.subscribe(topic, qos=1))

    async def unsubscribe(self, topic: str) -> None:
        """End a subscription; errors as in `subscribe`."""
        await self._unless_lost(self.mqtt.unsubscribe(topic))

    @abstractmethod
    def messages(self) -> AsyncIterator[aiomqtt.Message]:
        """Yield each message from the broker.

        Raises:
            MqttError: the session is over; its cause is an MqttError with the reason, if there is one.

        """

    def _flags(self, message: Message) -> tuple[int, bool]:
        """Return the QoS and the retain flag of a message, as the broker takes them."""
        limits = self.limits
        return message.qos if limits.qos else 0, message.retain and limits.retain

    async def _unless_lost(self, call: Awaitable[_T]) -> _T:
        """Return what a call of aiomqtt returns; raise MqttError if the session ends first, which aiomqtt ignores."""
        task = asyncio.ensure_future(call)
        try:
            await asyncio.wait((task, self._failure), return_when=asyncio.FIRST_COMPLETED)
            if self._failure.done() and (not task.done() or task.exception()):
                raise aiomqtt.MqttError from self._failure.result()  # it has the reason; aiomqtt's error may not
            return task.result()
        finally:
            task.cancel()

    def _fail(self, error: aiomqtt.MqttError) -> None:
        if not self._failure.done():
            self._failure.set_result(error)

    def _close_socket(self) -> None:
        """Close the socket; by its public API, paho does that only after a DISCONNECT."""
        self._disconnect()

    def _disconnect(self) -> None:
        """Write a DISCONNECT, after which paho closes the socket; it may directly follow CONNECT (MQTT 5.0, 3.1.4)."""
        if self._paho:
            self._paho.on_socket_register_write = None  # the event loop would get a socket that is closed by then
            with contextlib.suppress(OSError, ValueError):  # of a connection that is not complete
                self._paho.disconnect()
                self._paho.loop_write()

    def _add_callback(self, name: str, callback: Callable[..., None]) -> None:
        """Make paho call this before the callback that aiomqtt has set."""
        next_callback = getattr(self._paho, name)

        def call_both(*args: Any) -> None:  # noqa: ANN401
            callback(*args)
            # aiomqtt's own `on_disconnect` raises it when the wait for CONNACK was cancelled.
            with contextlib.suppress(asyncio.CancelledError):
                next_callback(*args)

        setattr(self._paho, name, call_both)

    def _on_connect(self, _client: object, _userdata: object, _flags: object, _reason: object, granted: Any) -> None:  # noqa: ANN401
        self._granted = granted
        self._has_connack = True

    def _on_disconnect(self, _client: object, _userdata: object, _flags: object, reason: Any, *_: object) -> None:  # noqa: ANN401
        self._fail(aiomqtt.MqttCodeError(reason))

    def _on_socket_open(self, next_callback: Callable[..., None]) -> Callable[..., None]:
        def on_socket_open(client: object, userdata: object, sock: Any) -> None:  # noqa: ANN401
            next_callback(client, userdata, sock)
            reader = SocketReader(self._paho, sock, self._on_unreadable)
            self._loop.call_soon_threadsafe(reader.start, self._loop)  # it replaces aiomqtt's
            if self._is_abandoned:  # in the thread that connects: the broker's name was being resolved
                self._loop.call_soon_threadsafe(self._close_socket)

        return on_socket_open

    def _on_socket_register_write(self, _client: object, _userdata: object, sock: Any) -> None:  # noqa: ANN401
        """Write in the next turn of the event loop, in place of aiomqtt.

        aiomqtt waits until the socket takes data. uvloop no longer says so after a reset, and the session would stay.
        """

        def write() -> None:
            self._write(sock)
            if self._paho.want_write() and sock.fileno() >= 0:  # it may be closed by now
                self._loop.add_writer(sock.fileno(), write)

        if isinstance(sock, ssl.SSLSocket) and not self._has_connack:
            self._loop.call_soon_threadsafe(self._loop.call_later, _TLS_REFUSAL_TIMEOUT_S, write)
        else:  # without a check first: a socket nearly always takes the data, and a check costs as much as a write
            self._loop.call_soon_threadsafe(write)

    @abstractmethod
    def _write(self, sock: Any) -> None:  # noqa: ANN401
        """Write as much as the socket takes."""

    def _on_unreadable(self, error: Exception) -> None:
        """End the session because paho fails at a packet from the broker."""
        if not self._has_connack:
            self.log.unreadable = error
            self._fail(aiomqtt.MqttError(str(error)))
        self._fail_by(error)

    def _fail_by(self, error: Exception) -> None:
        """End the session because of an error of paho."""
        self._fail(aiomqtt.MqttError(str(error)))
