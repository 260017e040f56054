"""Servers that do wrong what the first answer of a WebSocket can do wrong."""

import contextlib
import itertools
import socket
import threading
import time


class Server:
    """Answers each connection with the bytes that a function yields, and counts the open connections."""

    def __init__(self, answer):
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}"
        self.requests = []
        self.open = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.open += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, contextlib.suppress(OSError):
            self.requests.append(client.recv(4096).decode())
            for part in self._answer():
                client.sendall(part)
            while client.recv(4096):
                pass
        self.open -= 1

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def headers_for_ever():
    yield b"HTTP/1.1 101 Switching Protocols\r\n"
    yield from (b"X-Header-%d: %s\r\n" % (n, b"x" * 900) for n in itertools.count())


def one_header_for_ever():
    yield b"HTTP/1.1 101 Switching Protocols\r\nX-Header: "
    yield from itertools.repeat(b"x" * 900)


def one_byte_at_a_time():
    yield b"HTTP/1.1 101 Switching Protocols\r\nX-Header: "
    while True:
        time.sleep(0.05)
        yield b"x"


def never():
    return ()


def closes():
    raise OSError


def redirects():
    return [b"HTTP/1.1 301 Moved\r\nLocation: https://u:s3cret@new.example/s3cret?k=s3cret\r\n\r\n"]


def not_found():
    return [b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"]


def not_http():
    return [b"220 mail.example ESMTP\r\n\r\n"]


def wrong_key():
    fields = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept:x\r\n\r\n"
    return [b"HTTP/1.1 101 Switching Protocols\r\n", fields]


def garbage():
    return [bytes(range(256)) * 4 + b"\r\nsec-websocket-accept\xff\r\n\r\n"]


ANSWERS = {
    headers_for_ever: "too long",
    one_header_for_ever: "too long",
    one_byte_at_a_time: "takes longer than",
    never: "takes longer than",
    closes: "closes the connection",
    redirects: "redirects the WebSocket to https://new.example (HTTP 301)",
    not_found: "HTTP 404",
    not_http: "is not HTTP",
    wrong_key: "is no WebSocket",
    garbage: "is not HTTP",
}
"""What is in the reason, for each answer."""
