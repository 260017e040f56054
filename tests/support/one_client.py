"""A camera that serves one client at a time, as many cameras do."""

import socket
import socketserver
import threading
from contextlib import suppress

_BUSY = b"HTTP/1.0 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
_MAX_BYTES = 65_536


class OneClient(socketserver.ThreadingTCPServer):
    """The address of a camera that serves one client, and refuses others meanwhile; a context manager.

    Args:
        camera_port: the port of the camera behind it, on 127.0.0.1.

    Attributes:
        connections: how many were made.

    """

    daemon_threads = True

    def __init__(self, camera_port):
        super().__init__(("127.0.0.1", 0), _Relay)
        self.camera = ("127.0.0.1", camera_port)
        self.connections = 0
        self.served = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/live"
        self._thread = threading.Thread(target=self.serve_forever, args=[0.05], name="one-client")

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()
        self._thread.join()


class _Relay(socketserver.BaseRequestHandler):
    def handle(self):
        self.server.connections += 1
        request = self.request.recv(_MAX_BYTES)
        if not self.server.served.acquire(blocking=False):
            self.request.sendall(_BUSY)
            return
        try:
            with socket.create_connection(self.server.camera) as camera, suppress(OSError):
                camera.sendall(request)
                while data := camera.recv(_MAX_BYTES):
                    self.request.sendall(data)
        finally:
            self.server.served.release()
