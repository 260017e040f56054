"""`edgepub run` as a user runs it, with a real broker and another client of the broker."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from itertools import groupby
from pathlib import Path

import jsonschema
import psutil
import pytest
import trustme
import yaml

from edgepub.mqtt.payloads import detections, info
from edgepub.mqtt.payloads.schema import json_schema
from tests.support.brokers import Mosquitto
from tests.support.studio import BOX
from tests.support.waiting import free_port, wait_until

needs_mosquitto = pytest.mark.mosquitto
DETECTIONS = jsonschema.Draft202012Validator(json_schema(detections.VALIDATOR))
INFO = jsonschema.Draft202012Validator(json_schema(info.VALIDATOR))
SCRIPT = [[{**BOX, "category_id": n}] * (n % 4) for n in range(60)]


def ended(subscriber):
    return subscriber.last("edgepub/test/status") == b"offline" and subscriber.payloads("edgepub/test/info")


def test_detections_in_the_frames_are_published_exactly(broker, subscribe, run_daemon, studio):
    reader = subscribe(broker.port)
    daemon = run_daemon(studio.settings(broker.url, studio.video(SCRIPT), loop=True))
    reader.wait_for(lambda r: len(r.detections()) >= 60, "detections")
    payloads = reader.detections()[:60]
    for payload in payloads:
        DETECTIONS.validate(payload)
    assert [list(p)[:2] for p in payloads] == [["timestamp", "detections"]] * 60
    assert [p["seq"] for p in payloads] == list(range(1, 61)), "no hole"
    assert [p["frame"] for p in payloads] == list(range(1, 61))
    assert [[d["category_id"] for d in p["detections"]] for p in payloads] == [[n] * (n % 4) for n in range(60)]
    person = {"label": "person", "score": 0.9, "bbox": [8, 16, 24, 48], "bbox_norm": [0.125, 0.25, 0.375, 0.75]}
    assert payloads[1]["detections"] == [person | {"category_id": 1}]
    assert {p["boot_id"] for p in payloads} == {json.loads(reader.last("edgepub/test/info"))["boot_id"]}
    assert {(p["node"], p["camera"], p["width"], p["height"]) for p in payloads} == {("test", "cam", 64, 64)}
    assert all(p["timing_ms"]["capture_to_publish"] > 0 for p in payloads)
    assert reader.last("edgepub/test/cam/status") == b"online"
    assert reader.last("edgepub/test/status") == b"online"
    assert daemon.terminate() == 0


def warnings_of(camera, daemon):
    return re.findall(rf"WARNING +{camera}: .*", daemon.log)


@needs_mosquitto
def test_a_file_ends_and_so_does_the_daemon(mosquitto, subscribe, run_daemon, studio):
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(studio.settings(mosquitto.url, studio.video(SCRIPT)))
    assert daemon.wait() == 0, daemon.log
    reader.wait_for(ended, "the end")
    assert [p["frame"] for p in reader.detections()] == list(range(1, 61))
    assert reader.detections()[-1]["dropped"] == 0
    # A state that was changed before it could be sent is not sent: the newest of each counts.
    statuses = [status.decode() for status, _ in groupby(reader.payloads("edgepub/test/cam/status"))]
    assert "offline,online,offline".endswith(",".join(statuses)), statuses
    assert [p.decode() for p in reader.payloads("edgepub/test/status")] == ["online", "offline"]
    assert reader.messages[-1][0] == "edgepub/test/status"


def test_the_node_describes_itself(broker, subscribe, run_daemon, studio):
    settings = studio.settings(broker.url, "rtsp://u:s3cret@127.0.0.1:9/s", enabled=False)
    settings["models"]["cloud"] = {"model_name": "x", "zoo_url": "degirum/public", "token": "s3cret"}
    daemon = run_daemon(settings)
    reader = subscribe(broker.port)
    payload = json.loads(reader.wait_for(lambda r: r.last("edgepub/test/info"), "the info"))
    INFO.validate(payload)
    assert payload["cameras"] == {"cam": {"model": "echo", "enabled": False}}
    assert payload["models"]["echo"] == studio.model()
    names = ("info", "detections", "event", "stats", "visit")
    assert payload["schemas"] == [f"edgepub.{name}/1" for name in names]
    reader.wait_for(lambda r: r.last("edgepub/test/cam/status") == b"disabled", "the camera's status")
    assert daemon.terminate() == 0
    assert b"s3cret" not in b"".join(payload for _, payload, _ in reader.messages)
    assert "s3cret" not in daemon.log


@needs_mosquitto
def test_states_are_retained_and_detections_are_not(mosquitto, subscribe, run_daemon, studio):
    early = subscribe(mosquitto.port)
    run_daemon(studio.settings(mosquitto.url, studio.video(SCRIPT), loop=True))
    early.wait_for(lambda r: len(r.detections()) > 3, "detections")
    late = subscribe(mosquitto.port, "edgepub/test/cam/status")
    late.wait_for(lambda r: r.messages == [("edgepub/test/cam/status", b"online", True)], "the retained status")
    assert not any(retained for topic, _, retained in early.messages if topic.endswith("/detections"))


def test_another_client_sees_the_last_will_after_kill_9(broker, subscribe, run_daemon, studio):
    reader = subscribe(broker.port)
    daemon = run_daemon(studio.settings(broker.url, studio.video(SCRIPT), loop=True, realtime=True))
    reader.wait_for(lambda r: r.detections(), "a detection")
    daemon.process.kill()
    reader.wait_for(lambda r: r.last("edgepub/test/status") == b"offline", "the last will")


@needs_mosquitto
def test_the_broker_may_start_later_and_restart(tmp_path, subscribe, run_daemon, studio):
    broker = Mosquitto(tmp_path)
    settings = studio.settings(broker.url, studio.video(SCRIPT), loop=True, realtime=True)
    daemon = run_daemon(settings | {"outbox": {"stream": {"size": 5}}})
    daemon.wait_for_log("trying again in")
    daemon.wait_for_log("cam: online")
    try:
        last = 0
        for _ in range(3):
            broker.start()
            reader = subscribe(broker.port)
            reader.wait_for(lambda r: len(r.detections()) > 10, "detections")
            for state in ("status", "info", "cam/status"):
                assert reader.wait_for(lambda r, s=state: r.last(f"edgepub/test/{s}"), state)
            assert reader.last("edgepub/test/status") == b"online"
            sequence = [p["seq"] for p in reader.detections()]
            assert sequence == sorted(set(sequence)), "in order, none twice"
            assert sequence[0] > last
            last = sequence[-1]
            dropped = reader.detections()[-1]["dropped"]
            broker.stop()
        assert dropped > 0, "what did not fit while it was away"
    finally:
        broker.stop()
    assert daemon.process.poll() is None
    log = daemon.log
    assert "connected, MQTT 3.1.1" in log


@needs_mosquitto
def test_sigterm_sends_queued_messages_and_offline(mosquitto, subscribe, run_daemon, studio):
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(studio.settings(mosquitto.url, studio.video(SCRIPT), loop=True))
    reader.wait_for(lambda r: len(r.detections()) > 20, "detections")
    assert daemon.terminate() == 0
    reader.wait_for(ended, "offline")
    assert reader.messages[-1][:2] == ("edgepub/test/status", b"offline"), "the very last message"
    assert reader.last("edgepub/test/cam/status") == b"offline"
    payloads = reader.detections()
    holes = payloads[-1]["seq"] - len(payloads) - (payloads[0]["seq"] - 1)
    assert holes == payloads[-1]["dropped"], "every hole is a drop, and none came at the end"


def test_ctrl_c_stops_gracefully_and_a_second_one_without_waiting(run_daemon, studio, manager):
    no_broker = f"mqtt://127.0.0.1:{free_port()}"
    daemon = run_daemon(studio.settings(no_broker, studio.video(SCRIPT), loop=True), NOTIFY_SOCKET=manager.path)
    daemon.wait_for_log("trying again in")
    daemon.process.send_signal(signal.SIGINT)
    manager.wait_for("the stop", STOPPING="1")
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.wait() == 1


@needs_mosquitto
def test_ctrl_c_of_a_terminal_reaches_pysdks_worker_too_and_does_no_harm(mosquitto, subscribe, run_daemon, demo_assets):
    """The worker that runs a model's postprocessor is in the same foreground group; without it `predict` hangs."""
    model = {"model_name": "blazeface", "zoo_url": str(demo_assets.zoo), "inference_host_address": "@local"}
    camera = {"source": str(demo_assets.video), "model": "face", "loop": True}
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(
        {"node": "test", "mqtt": {"url": mosquitto.url}, "models": {"face": model}, "cameras": {"cam": camera}}
    )
    reader.wait_for(lambda r: len(r.detections()) > 5, "detections")
    os.killpg(daemon.process.pid, signal.SIGINT)
    assert daemon.wait() == 0
    reader.wait_for(ended, "offline")
    assert not warnings_of("cam", daemon), "it stopped in time"
    assert "KeyboardInterrupt" not in daemon.log
    for payload in reader.detections():
        DETECTIONS.validate(payload)
        assert [d["label"] for d in payload["detections"]] == ["face"]


def test_one_camera_without_its_file_leaves_the_other_alone(broker, subscribe, run_daemon, studio, tmp_path):
    reader = subscribe(broker.port)
    settings = studio.settings(broker.url, studio.video(SCRIPT), loop=True, realtime=True)
    settings["cameras"]["gone"] = {"source": str(tmp_path / "gone.avi"), "model": "echo"}
    settings["cameras"]["nomodel"] = {"source": "video.avi", "model": "wrong"}
    settings["models"]["wrong"] = {**studio.model(), "model_name": "nope"}
    daemon = run_daemon(settings)
    daemon.wait_for_log(f"gone: source: no such file: {tmp_path / 'gone.avi'}; trying again in")
    daemon.wait_for_log("nomodel: model: Model 'nope' is not found in model zoo")
    before = len(reader.detections())
    reader.wait_for(lambda r: len(r.detections()) > before + 10, "more of the other camera")
    assert [p.decode() for p in reader.payloads("edgepub/test/gone/status")] == ["offline"]
    Path(studio.video([[BOX]] * 5, name="came.avi")).rename(tmp_path / "gone.avi")
    reader.wait_for(lambda r: len(r.detections("gone")) == 5, "the camera, after its file came")
    assert daemon.terminate() == 0


@needs_mosquitto
def test_invalid_results_are_dropped_and_counted_and_leave_a_gap(mosquitto, subscribe, run_daemon, studio):
    reader = subscribe(mosquitto.port)
    script = [[BOX], [{**BOX, "score": None}], {"error": 1}, [BOX], [{"label": "x"}], [BOX]]
    daemon = run_daemon(studio.settings(mosquitto.url, studio.video(script)))
    assert daemon.wait() == 0
    reader.wait_for(ended, "the end")
    # PySDK's own postprocessor may refuse a result before edgepub sees it; then the camera starts again.
    payloads = reader.detections()
    assert payloads[0]["seq"] == 1
    assert len(re.findall(r"cam: frame \d+ is dropped: ", daemon.log)) == 3, "of three kinds, each is logged"
    assert payloads[-1]["seq"] - len(payloads) == payloads[-1]["dropped"] == 3


@needs_mosquitto
def test_a_full_queue_drops_the_oldest_and_inference_continues(mosquitto, subscribe, run_daemon, studio):
    """The broker is stopped (SIGSTOP): it refuses nothing and accepts nothing."""
    reader = subscribe(mosquitto.port)
    settings = studio.settings(mosquitto.url, studio.video(SCRIPT * 20), loop=True)
    settings["outbox"] = {"stream": {"size": 10}}
    settings["mqtt"]["keepalive_s"] = 600
    settings["cameras"]["end"] = {"source": studio.video(SCRIPT * 60, name="end.avi"), "model": "echo"}
    daemon = run_daemon(settings)
    reader.wait_for(lambda r: len(r.detections()) > 20, "detections")
    mosquitto.process.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: re.search(r" end: .*: 3600\n", daemon.log), "the end of the other source")
    finally:
        mosquitto.process.send_signal(signal.SIGCONT)
    seen = len(reader.detections())
    reader.wait_for(lambda r: len(r.detections()) > seen + 200, "detections again")
    payloads = reader.detections()
    sequence = [p["seq"] for p in payloads]
    assert sequence == sorted(set(sequence))
    missing = sequence[-1] - len(sequence) - (sequence[0] - 1)
    assert payloads[-1]["dropped"] > 0
    # Those dropped while the last of these messages was in the queue are behind it in `seq`, and counted already.
    assert 0 <= payloads[-1]["dropped"] - missing <= 10 + 16
    assert daemon.terminate() == 0


def test_a_host_that_is_no_name_is_a_line_in_the_log(run_daemon, studio):
    daemon = run_daemon(studio.settings("mqtt://no-such-host.invalid", "0", enabled=False))
    daemon.wait_for_log("broker mqtt://no-such-host.invalid: Name or service not known; trying again in")


def test_unsent_messages_are_a_failure_when_the_files_have_ended(run_daemon, studio):
    daemon = run_daemon(studio.settings(f"mqtt://127.0.0.1:{free_port()}", studio.video([[BOX]] * 7)))
    assert daemon.wait() == 1
    assert re.search(r"WARNING .*messages.*: 7\n", daemon.log)


@needs_mosquitto
@pytest.mark.parametrize(("protocol", "spoken"), [("auto", "5"), ("5", "5"), ("3.1.1", "3.1.1")])
def test_the_configured_protocol_is_used(mosquitto, run_daemon, studio, protocol, spoken):
    settings = studio.settings(mosquitto.url, studio.video([[BOX]]))
    settings["mqtt"]["protocol"] = protocol
    daemon = run_daemon(settings)
    assert daemon.wait() == 0
    assert f"connected, MQTT {spoken}" in daemon.log


def test_auto_falls_back_to_3_1_1(run_daemon, studio):
    """Against a broker that answers a CONNECT of version 5 as MQTT 3.1.1 says (3.2.2.3): return code 1."""
    listener = socket.create_server(("127.0.0.1", 0))
    versions = []

    def answer():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connect = connection.recv(4096)
                if b"edgepub-claim-" in connect:  # it only asks whether another node has the name
                    connection.sendall(b"\x20\x02\x00\x02")
                    continue
                versions.append(connect[8])
                accepted = connect[8] == 4
                connection.sendall(b"\x20\x02\x00" + (b"\x00" if accepted else b"\x01"))
                while accepted and connection.recv(4096):
                    pass

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        settings = studio.settings(f"mqtt://127.0.0.1:{listener.getsockname()[1]}", "0", enabled=False)
        settings["mqtt"]["protocol"] = "auto"
        daemon = run_daemon(settings)
        daemon.wait_for_log("connected, MQTT 3.1.1")
        assert versions == [5, 4]
        daemon.close()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


@pytest.fixture
def certificates(tmp_path):
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    other = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    other.cert_pem.write_to_path(tmp_path / "other.pem")
    server.private_key_pem.write_to_path(tmp_path / "key.pem")
    server.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    return tmp_path


LISTENERS = {
    "mqtt": ("listener {port} 127.0.0.1",),
    "mqtts": ("listener {port} 127.0.0.1", "certfile FOLDER/cert.pem", "keyfile FOLDER/key.pem"),
    "ws": ("listener {port} 127.0.0.1", "protocol websockets"),
    "wss": ("listener {port} 127.0.0.1", "protocol websockets", "certfile FOLDER/cert.pem", "keyfile FOLDER/key.pem"),
    "unix": ("listener 0 FOLDER/socket",),
}


@needs_mosquitto
@pytest.mark.parametrize("scheme", list(LISTENERS))
def test_every_transport_to_the_broker(certificates, run_daemon, studio, subscribe, scheme):
    plain = free_port()
    lines = [line.replace("FOLDER", str(certificates)) for line in LISTENERS[scheme]]
    # Listeners open in their order: once the last one answers, all of them do.
    broker = Mosquitto(certificates, "allow_anonymous true", f"listener {plain} 127.0.0.1", *lines)
    if scheme == "unix":
        broker.port = plain
    broker.start()
    try:
        reader = subscribe(plain)
        url = f"unix://{certificates}/socket" if scheme == "unix" else f"{scheme}://127.0.0.1:{broker.port}"
        settings = studio.settings(url, studio.video([[BOX]] * 3))
        settings["mqtt"]["protocol"] = "auto"
        if scheme in ("mqtts", "wss"):
            settings["mqtt"]["tls"] = {"ca_file": str(certificates / "ca.pem")}
        daemon = run_daemon(settings)
        assert daemon.wait() == 0, daemon.log
        assert reader.wait_for(lambda r: len(r.detections()) == 3, "the detections")
    finally:
        broker.stop()


@needs_mosquitto
def test_a_broker_that_cannot_prove_its_identity_is_refused(certificates, run_daemon, studio):
    lines = [line.replace("FOLDER", str(certificates)) for line in LISTENERS["mqtts"]]
    broker = Mosquitto(certificates, *lines, "allow_anonymous true").start()
    try:
        settings = studio.settings(f"mqtts://127.0.0.1:{broker.port}", "0", enabled=False)
        settings["mqtt"]["tls"] = {"ca_file": str(certificates / "other.pem")}
        daemon = run_daemon(settings)
        daemon.wait_for_log("certificate verify failed")
        daemon.close()
        settings["mqtt"]["tls"] = {"insecure": True}
        run_daemon(settings).wait_for_log("connected")
    finally:
        broker.stop()


@needs_mosquitto
def test_a_password_is_accepted_and_a_wrong_one_is_logged(tmp_path, run_daemon, studio):
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", passwords, "me", "s3cret"], check=True, stderr=subprocess.DEVNULL)
    broker = Mosquitto(tmp_path, "listener {port} 127.0.0.1", f"password_file {passwords}").start()
    try:
        settings = studio.settings(broker.url, "0", enabled=False)
        for protocol, why in [("5", "Not authorized"), ("3.1.1", "Not authorized")]:
            settings["mqtt"] |= {"username": "me", "password": "wr0ng", "protocol": protocol}
            daemon = run_daemon(settings)
            daemon.wait_for_log(f"the broker refuses the connection: {why}; trying again in ")
            assert float(re.findall(r"trying again in ([\d.]+) s", daemon.log)[0]) >= 3, "no storm"
            daemon.close()
            assert "wr0ng" not in daemon.log
        del settings["mqtt"]["password"]
        daemon = run_daemon(settings, EDGEPUB_MQTT__PASSWORD="s3cret")
        daemon.wait_for_log("connected")
        daemon.close()
        (tmp_path / "mqtt_password").write_text("s3cret\n")
        run_daemon(settings, CREDENTIALS_DIRECTORY=str(tmp_path)).wait_for_log("connected")
    finally:
        broker.stop()


@needs_mosquitto
def test_a_webcam_and_a_url_that_are_not_there_do_not_end_the_daemon(mosquitto, run_daemon, studio):
    settings = studio.settings(mosquitto.url, 77)
    settings["cameras"]["url"] = {"source": f"rtsp://u:s3cret@127.0.0.1:{free_port()}/s", "model": "echo"}
    daemon = run_daemon(settings)
    daemon.wait_for_log("cam: source: webcam 77: cannot be opened")
    daemon.wait_for_log("url: source: rtsp://127.0.0.1")
    assert daemon.terminate() == 0
    assert "s3cret" not in daemon.log


@needs_mosquitto
def test_a_slow_model_does_not_delay_the_stop(mosquitto, subscribe, run_daemon, studio):
    """A thread that is still inside PySDK when the interpreter ends would abort the process with 134."""
    video = studio.video(SCRIPT)
    settings = studio.settings(mosquitto.url, video, loop=True)
    settings["models"]["echo"] = studio.model("hung", SimulateTime_ms=60_000)
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(settings)
    reader.wait_for(lambda r: r.last("edgepub/test/cam/status"), "the start")
    process = psutil.Process(daemon.process.pid)
    wait_until(lambda: video in [file.path for file in process.open_files()], "the source in use")
    time.sleep(1)  # nothing shows from outside that the thread has moved on from the source to the model
    assert daemon.terminate() == 0
    assert warnings_of("cam", daemon), "the camera is named"
    reader.wait_for(ended, "offline")
    assert reader.last("edgepub/test/cam/status") == b"offline"


def test_a_wrong_configuration_ends_with_78_and_no_traceback(run_daemon):
    daemon = run_daemon({"cameras": {"porch": {"sauce": 0, "model": "coco"}}})
    assert daemon.wait() == 78
    assert daemon.log.splitlines() == [
        f"{daemon.file}: models: is missing",
        f"{daemon.file}: cameras.porch.sauce: unknown key; did you mean 'source'?",
    ]


@needs_mosquitto
def test_degirums_example_with_timing_loads_and_says_that_it_has_no_effect(
    mosquitto, subscribe, run_daemon, studio, cli, tmp_path
):
    """PySDK has no such property: before, `check` accepted it and the camera stayed offline."""
    settings = studio.settings(mosquitto.url, studio.video([[BOX]] * 20), loop=True, realtime=True)
    timing = {"device_type": ["DUMMY/DUMMY"], "postprocess": {"timing": {"enable": True}}}
    settings["models"]["echo"] = {**studio.model(), "model_properties": timing}
    (tmp_path / "timing.yaml").write_text(yaml.safe_dump(settings))
    done = cli("check", "-c", tmp_path / "timing.yaml")
    note = "models.echo.model_properties.postprocess: has no effect: PySDK has no such property"
    assert (done.returncode, done.stdout.count(note)) == (0, 1)
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(settings)
    reader.wait_for(lambda r: r.detections(), "detections")
    assert daemon.log.count(note) == 1
