"""The comparison: DeGirum's streaming example, with paho where it says "send to your MQTT broker".

``python -m edgepub.cli.bench.bare_loop ZOO MODEL VIDEO PORT TOPIC``
"""

import json
import os
import sys
import time
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion


def main(zoo: str, model_name: str, video: str, port: str, topic: str) -> None:
    """Publish the result of each frame of a video, in an endless loop."""
    # PySDK starts postprocessors with the first `python3` in PATH.
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    from degirum_tools import ModelSpec, predict_stream

    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", int(port))
    client.loop_start()
    model = ModelSpec(model_name=model_name, zoo_url=zoo, inference_host_address="@local").load_model()
    while True:
        for result in predict_stream(model, video):
            payload = {"timestamp": time.time(), "detections": result.results}
            client.publish(topic, json.dumps(payload))


if __name__ == "__main__":
    main(*sys.argv[1:])
