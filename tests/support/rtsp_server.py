"""A real RTSP camera: serves a video over and over at rtsp://127.0.0.1:PORT/live, for Debian's own Python (python3-gi).

``/usr/bin/python3 rtsp_server.py VIDEO.mp4 PORT FOLDER`` says ``ready``, and ends at the end of stdin.
"""

import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

video, port, directory = sys.argv[1:]
stream = f"{directory}/stream.h264"

Gst.init(None)
# A bare stream can be repeated without an end; a file in a container cannot.
unpacking = Gst.parse_launch(
    f"filesrc location={video} ! qtdemux ! h264parse ! video/x-h264,stream-format=byte-stream ! filesink location={stream}"
)
unpacking.set_state(Gst.State.PLAYING)
unpacking.get_bus().timed_pop_filtered(Gst.CLOCK_TIME_NONE, Gst.MessageType.EOS | Gst.MessageType.ERROR)
unpacking.set_state(Gst.State.NULL)

server = GstRtspServer.RTSPServer()
server.set_address("127.0.0.1")
server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(
    f"( multifilesrc location={stream} loop=true ! h264parse ! identity sync=true ! rtph264pay name=pay0 config-interval=-1 )"
)
factory.set_shared(True)
server.get_mount_points().add_factory("/live", factory)
server.attach(None)
loop = GLib.MainLoop()


def until_stdin_ends():
    print("ready", flush=True)
    sys.stdin.read()
    loop.quit()


threading.Thread(target=until_stdin_ends, daemon=True).start()
loop.run()
