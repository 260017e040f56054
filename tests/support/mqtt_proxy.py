"""A proxy before a real broker that reads the packets of MQTT, and changes, swallows or answers them."""

import contextlib
import socket
import threading


class MqttProxy:
    """Passes packets on between clients and a broker on this computer. A context manager.

    While the broker is not there, it closes each connection immediately.

    Args:
        port: the broker's.
        from_client: returns what the broker gets for a packet of a client; None ends the session.
        from_broker: the same in the other direction.

    """

    def __init__(self, port, from_client=lambda packet: packet, from_broker=lambda packet: packet):
        self._target = port
        self._rules = (from_client, from_broker)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.sessions = 0
        self._open = {}  # the sockets of each session, by its thread
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        _end(self._listener)
        self._listener.close()
        self._thread.join()
        threads = [*self._open]
        self.cut()
        for thread in threads:
            thread.join()

    def cut(self):
        """End all sessions. New ones are accepted."""
        for sock in [sock for pair in tuple(self._open.values()) for sock in pair]:
            _end(sock)

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    broker = socket.create_connection(("127.0.0.1", self._target))
                except ConnectionRefusedError:
                    client.close()
                    continue
                self.sessions += 1
                thread = threading.Thread(target=self._serve, args=(client, broker))
                self._open[thread] = client, broker
                thread.start()

    def _serve(self, client, broker):
        from_client, from_broker = self._rules
        with client, broker:
            back = threading.Thread(target=_pass_on, args=(broker, client, from_broker))
            back.start()
            _pass_on(client, broker, from_client)
            back.join()
        del self._open[threading.current_thread()]


def _pass_on(source, target, rule):
    with contextlib.suppress(OSError), source.makefile("rb") as stream:
        while (packet := _read_packet(stream)) and (changed := rule(packet)) is not None:
            target.sendall(changed)
    _end(source)
    _end(target)


def _end(sock):
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _read_packet(stream):
    head, length, shift = stream.read(1), 0, 0
    if not head:
        return b""
    while True:
        byte = stream.read(1)
        head += byte
        length |= (byte[0] & 0x7F) << shift
        shift += 7
        if byte[0] < 0x80:
            return head + stream.read(length)


def kind_of(packet):
    """Return the type of a packet (MQTT 5.0, 2.1.2)."""
    return packet[0] >> 4


def body_of(packet):
    """Return a packet without its fixed header."""
    start = 1
    while packet[start] & 0x80:
        start += 1
    return packet[start + 1 :]


def id_of(packet):
    """Return the packet identifier of a PUBACK, or of a PUBLISH with QoS 1; None for one with QoS 0."""
    body = body_of(packet)
    if kind_of(packet) == 4:
        return body[:2]
    start = 2 + int.from_bytes(body[:2], "big")
    return body[start : start + 2] if packet[0] & 0b110 else None


def topic_of(packet):
    """Return the topic of a PUBLISH."""
    body = body_of(packet)
    return body[2 : 2 + int.from_bytes(body[:2], "big")].decode()
