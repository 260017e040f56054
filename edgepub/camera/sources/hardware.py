"""The command that decodes a camera on the computer's video hardware: the system's ffmpeg, as a child process."""

from edgepub.config.capture import CaptureSettings

_TRANSPORTS = {
    "auto": "rtsp_flags prefer_tcp",
    "udp": "rtsp_transport udp",
    "multicast": "rtsp_transport udp_multicast",
}
_TCP = "rtsp_transport tcp"
_PROTOCOLS = "pipe,http,https,httpproxy,tls,tcp,udp,rtp,srtp,srt,rtmp,rtmps,rtmpt,rtsp,crypto"
_DECODERS = {
    "auto": ["-hwaccel", "auto"],
    "vaapi": ["-hwaccel", "vaapi", "-hwaccel_output_format", "vaapi"],
    "drm": ["-hwaccel", "drm"],
    "v4l2m2m": ["-c:v", "h264_v4l2m2m"],
}


def hardware_command(url: str, capture: CaptureSettings, timeout_s: float) -> tuple[list[str], bytes]:
    """Return the command that decodes a URL on the hardware, and what to write to its standard input.

    The URL is in its input: every user of the computer can read the arguments of a process. Source of the options:
    "ffmpeg Documentation" and "FFmpeg Formats Documentation" (`concat`), for FFmpeg 5.1 and later.

    Args:
        url: the URL.
        capture: how to decode, and how large the pictures are to be.
        timeout_s: how long the camera may be silent.

    """
    quoted = url.replace("'", "'\\''")
    lines = ["ffconcat version 1.0", f"file '{quoted}'"]
    if url.startswith(("rtsp://", "rtsps://")):
        lines += [f"option {_TRANSPORTS.get(capture.transport, _TCP)}", f"option timeout {timeout_s * 1e6:.0f}"]
    else:
        lines.append(f"option rw_timeout {timeout_s * 1e6:.0f}")
    if url.startswith(("https://", "rtsps://", "rtmps://", "tls://")):
        lines.append(f"option tls_verify {0 if capture.tls_insecure else 1}")
    command = ["ffmpeg", "-nostdin", "-nostats", "-hide_banner", "-loglevel", "error"]
    command += ["-fflags", "nobuffer+discardcorrupt", "-noautorotate"]
    command += ["-skip_frame", "nokey"] if capture.decode == "keyframes" else []
    command += _DECODERS[capture.hardware]
    command += ["-f", "concat", "-safe", "0", "-protocol_whitelist", _PROTOCOLS, "-i", "pipe:0"]
    command += ["-map", "0:v:0", "-fps_mode", "passthrough", "-copyts", "-vf", _filters(capture)]
    command += ["-c:v", "rawvideo", "-flush_packets", "1", "-f", "nut", "pipe:1"]
    return command, ("\n".join(lines) + "\n").encode()


def _filters(capture: CaptureSettings) -> str:
    """Return what happens to each picture: it is made smaller on the device if that can, and then fetched from it."""
    fps = [f"fps={capture.fps:g}"] if capture.fps else []
    size = ""
    if capture.size:
        width, height = capture.size
        size = f"w={width}:h={height}:force_original_aspect_ratio=decrease"
    if capture.hardware == "vaapi":
        return ",".join([*fps, f"scale_vaapi={size}{':' if size else ''}format=nv12", "hwdownload", "format=nv12"])
    return ",".join([*fps, *([f"scale={size}"] if size else []), "format=nv12"])
