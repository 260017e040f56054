"""A real RTSP server for Debian's own Python (python3-gi): ``/usr/bin/python3 rtsp_server.py PORT PIPELINE [OPTION...]``.

It serves the GStreamer pipeline at rtsp://127.0.0.1:PORT/live, in real time and with RTCP. It says ``ready``, and ends at
the end of stdin. Options: `udp`, `tcp`, `multicast` (the only transports), `basic=USER:PASSWORD`, `digest=USER:PASSWORD`,
`tls=CERTIFICATE.pem:KEY.pem`, `no-rtcp`, `lose=N` (every Nth packet), `path=/other`,
`address=10.0.0.1` instead of loopback.
"""

import itertools
import sys
import threading

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gio, GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

port, pipeline, *options = sys.argv[1:]
given = dict(option.partition("=")[::2] for option in options)
transports = {
    "udp": GstRtsp.RTSPLowerTrans.UDP,
    "tcp": GstRtsp.RTSPLowerTrans.TCP,
    "multicast": GstRtsp.RTSPLowerTrans.UDP_MCAST,
}

Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address(given.get("address", "127.0.0.1"))
server.set_service(port)
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(f"( {pipeline} )")
factory.set_shared(True)
for name, transport in transports.items():
    if name in given:
        factory.set_protocols(transport)
if "multicast" in given:
    pool = GstRtspServer.RTSPAddressPool()
    pool.add_range("224.3.0.0", "224.3.0.10", 5000, 5010, 1)
    factory.set_address_pool(pool)
if "no-rtcp" in given:
    factory.set_enable_rtcp(False)

auth, viewer = GstRtspServer.RTSPAuth(), GstRtspServer.RTSPToken()
viewer.set_string("media.factory.role", "viewer")
for kind, method in (("basic", GstRtsp.RTSPAuthMethod.BASIC), ("digest", GstRtsp.RTSPAuthMethod.DIGEST)):
    if kind in given:
        user, _, password = given[kind].partition(":")
        auth.set_supported_methods(method)
        if kind == "basic":
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(user, password), viewer)
        else:
            auth.add_digest(user, password, viewer)
if "tls" in given:
    auth.set_tls_certificate(Gio.TlsCertificate.new_from_files(*given["tls"].split(":")))
    if not {"basic", "digest"} & given.keys():
        auth.set_default_token(viewer)
if {"basic", "digest", "tls"} & given.keys():
    permissions = GstRtspServer.RTSPPermissions()
    permissions.add_permission_for_role("viewer", "media.factory.access", True)
    permissions.add_permission_for_role("viewer", "media.factory.construct", True)
    factory.set_permissions(permissions)
    server.set_auth(auth)

if "lose" in given:
    every, counted = int(given["lose"]), itertools.count(1)

    def send(pad, info):
        """Send the packets of a list one by one, without every so many."""
        packets = info.get_buffer_list()
        if packets is None:
            return Gst.PadProbeReturn.OK if next(counted) % every else Gst.PadProbeReturn.DROP
        for place in range(packets.length()):
            if next(counted) % every:
                pad.get_peer().chain(packets.get(place))
        return Gst.PadProbeReturn.DROP

    def configure(_factory, media):
        pad = media.get_element().get_by_name("pay0").get_static_pad("src")
        pad.add_probe(Gst.PadProbeType.BUFFER | Gst.PadProbeType.BUFFER_LIST, send)

    factory.connect("media-configure", configure)
server.get_mount_points().add_factory(given.get("path", "/live"), factory)
server.attach(None)
loop = GLib.MainLoop()


def until_stdin_ends():
    print("ready", flush=True)
    sys.stdin.read()
    loop.quit()


threading.Thread(target=until_stdin_ends, daemon=True).start()
loop.run()
