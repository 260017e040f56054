"""A relay to a server on this computer, whose answers come late."""

import contextlib
import socket
import socketserver
import threading
import time


class SlowAnswers:
    """Passes requests on immediately, and answers after a while. A context manager.

    Args:
        port: the server's.
        seconds: how much longer each answer takes.

    """

    def __init__(self, port, seconds):
        self.seconds = seconds
        self.target_port = port
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.relay = self
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="slow-answers")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True


class _Handler(socketserver.BaseRequestHandler):
    def handle(self):
        relay = self.server.relay
        with socket.create_connection(("127.0.0.1", relay.target_port)) as server:
            threading.Thread(target=_pass_on, args=(self.request, server), daemon=True).start()
            with contextlib.suppress(OSError):
                while data := server.recv(65536):
                    time.sleep(relay.seconds)
                    self.request.sendall(data)


def _pass_on(client, server):
    with contextlib.suppress(OSError):
        while data := client.recv(65536):
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)
