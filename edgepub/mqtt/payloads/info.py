"""The info payload, schema ``edgepub.info/1``: what runs on a node."""

from collections.abc import Mapping
from typing import Annotated, Literal, NotRequired

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from edgepub.config.settings import Settings
from edgepub.core.redaction import redact
from edgepub.core.versions import installed_versions
from edgepub.mqtt.payloads import detections, event, stats, visit
from edgepub.mqtt.payloads.servers import Servers, describe_servers
from edgepub.telemetry.status import CameraState

SCHEMA = "edgepub.info/1"


class CameraInfo(Servers):
    """A camera, without its source, which may contain a password."""

    model: Annotated[str, Field(description="name of the model that processes its frames")]
    enabled: Annotated[bool, Field(description="as configured; `P/<camera>/enabled` has the value in force")]


class ModelInfo(TypedDict):
    """A model, without its token."""

    model_name: Annotated[str, Field(description="name or URL that the model is loaded by")]
    zoo_url: str
    inference_host_address: Annotated[str, Field(description="several AI servers are separated by a comma and a space")]


@with_config(ConfigDict(title=SCHEMA))
class Info(TypedDict):
    """What runs on a node."""

    schema: Annotated[Literal["edgepub.info/1"], Field(description="name and version of this schema")]
    node: str
    node_id: NotRequired[
        Annotated[str, Field(description="made once, at random; another node with the same name has another one")]
    ]
    boot_id: Annotated[str, Field(description="changes at every start of the daemon")]
    versions: Annotated[dict[str, str], Field(description="versions of edgepub, PySDK, the MQTT libraries and Python")]
    cameras: dict[str, CameraInfo]
    models: dict[str, ModelInfo]
    schemas: Annotated[list[str], Field(description="payload schemas that this node publishes")]


VALIDATOR = TypeAdapter(Info)


def build(settings: Settings, node_id: str, boot_id: str, states: Mapping[str, CameraState]) -> bytes:
    """Return the info payload of a configuration, as JSON.

    Args:
        settings: the configuration.
        node_id: identifies the node.
        boot_id: identifies this run of the daemon.
        states: the states of the cameras, with the AI servers in use.

    """
    payload = VALIDATOR.validate_python(
        {
            "schema": SCHEMA,
            "node": settings.node,
            "node_id": node_id,
            "boot_id": boot_id,
            "versions": installed_versions(),
            "cameras": {
                name: {
                    "model": camera.model,
                    "enabled": camera.enabled,
                    **describe_servers(states.get(name)),
                }
                for name, camera in settings.cameras.items()
            },
            "models": {
                name: {
                    "model_name": redact(model.model_name or model.model_url),
                    "zoo_url": redact(model.zoo_url),
                    "inference_host_address": redact(", ".join(model.inference_hosts)),
                }
                for name, model in settings.models.items()
            },
            "schemas": [SCHEMA, detections.SCHEMA, event.SCHEMA, stats.SCHEMA, visit.SCHEMA],
        }
    )
    return orjson.dumps(payload)
