"""Runs first in every Python that PySDK starts: its postprocessor worker is to listen on loopback alone.

PySDK 1.5 has it bind ``tcp://*:6120`` and up, and connects to it at ``localhost``. No other process is touched.
"""

import sys

if any(argument.endswith("pproc_worker.py") for argument in sys.orig_argv):
    import zmq

    _bind = zmq.Socket.bind

    def _at_home(socket: zmq.Socket[bytes], address: str) -> object:
        return _bind(socket, address.replace("tcp://*:", "tcp://127.0.0.1:"))

    zmq.Socket.bind = _at_home  # type: ignore[method-assign,assignment]
