"""Runs first in every Python that PySDK starts: makes its postprocessor worker listen on loopback only.

In PySDK 1.5 the worker binds ``tcp://*:6120`` and up, and PySDK connects to it at ``localhost``. No other process is
changed.
"""

import sys

if any(argument.endswith("pproc_worker.py") for argument in sys.orig_argv):
    import zmq

    _bind = zmq.Socket.bind

    def _bind_loopback(socket: zmq.Socket[bytes], address: str) -> object:
        return _bind(socket, address.replace("tcp://*:", "tcp://127.0.0.1:"))

    zmq.Socket.bind = _bind_loopback  # type: ignore[method-assign,assignment]
