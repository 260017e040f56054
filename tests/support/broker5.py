"""A scripted broker for responses that Mosquitto 2.0 does not give."""

import contextlib
import operator
import socket
import struct
import threading


class Broker5:
    """A broker with one session after another, each with a script.

    With `suback=None` it ends the session at the first SUBSCRIBE, after `last_words`.

    A script is what is answered to CONNECT, then to the first PUBLISH, and so on; `{id}` is its packet identifier, and
    `{before}` that of the one before. `suback` is what is answered to each SUBSCRIBE. With `resets` the broker resets
    the connection after the last answer of a script; `has_reset` is set then.
    """

    def __init__(self, *scripts, suback=b"\x90\x04{id}\x00\x01", resets=False, last_words=b""):
        self._last_words = last_words
        self._suback = suback
        self._resets = resets
        self.has_reset = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self.sessions = 0
        self.published = []
        self._ids = [b""]
        threading.Thread(target=self._serve, args=(scripts,), daemon=True).start()

    def _serve(self, scripts):
        for script in scripts:
            try:
                client = self._accept()
            except OSError:
                return  # closed
            self.sessions += 1
            with client, contextlib.suppress(OSError):  # the client may reset the connection: the next session comes
                self._serve_session(client, iter(script))
            if self._resets:
                self.has_reset.set()

    def _serve_session(self, client, answers):
        with client.makefile("rb") as packets:
            while (answer := self._answer(packets, answers)) is not None:
                client.sendall(answer)
                if self._resets and self._suback and not operator.length_hint(answers):
                    break
        client.sendall(self._last_words)
        if self._resets:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _accept(self):
        """Wait for a connection; refuse those that only ask whether another node has the name."""
        while True:
            client, _ = self._listener.accept()
            if b"edgepub-claim-" not in client.recv(4096, socket.MSG_PEEK):
                return client
            with client:
                client.recv(4096)
                client.sendall(b"\x20\x03\x00\x87\x00")

    def _answer(self, packets, answers):
        """Read a packet, and return the response; None at the end."""
        kind, length, shift = packets.read(1), 0, 0
        if not kind:
            return None
        while True:
            (byte,) = packets.read(1)
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        body = packets.read(length)
        if kind[0] >> 4 == 1:  # CONNECT
            return next(answers)
        if kind[0] >> 4 == 12:  # PINGREQ
            return b"\xd0\x00"
        if kind[0] >> 4 == 8:  # SUBSCRIBE
            return self._suback and self._suback.replace(b"{id}", body[:2])
        if kind[0] >> 4 != 3 or not kind[0] & 6:
            return b""
        end = 2 + int.from_bytes(body[:2], "big")
        self.published.append(body[2:end].decode())
        self._ids.append(body[end : end + 2])
        answer = next(answers, b"\x40\x02{id}")
        return answer.replace(b"{id}", self._ids[-1]).replace(b"{before}", self._ids[-2])

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


CONNACK = b"\x20\x03\x00\x00\x00"
TAKEN_OVER = b"\xe0\x01\x8e"
