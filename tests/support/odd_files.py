"""What may be in the place of a file and is none."""

import os
import socket

KINDS = ("directory", "pipe", "loop", "device", "socket")


def put_in_place(kind, path):
    """Put something that is no file in the place of a file."""
    path.unlink(missing_ok=True)
    match kind:
        case "directory":
            path.mkdir()
            (path / "content").touch()
        case "pipe":
            os.mkfifo(path)
        case "loop":
            path.symlink_to(path.name)
        case "device":
            path.symlink_to("/dev/zero")
        case "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
