"""The AI servers that a camera uses, in the payloads that name them."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from edgepub.core.redaction import redact
from edgepub.telemetry.status import CameraState


class Servers(TypedDict, total=False):
    """The AI servers of a camera; absent keys: its models run on the node or in a cloud."""

    server: Annotated[
        str,
        Field(
            description="the AI server of its model, or of the first model under `detect`; absent if that runs on the "
            "node or in a cloud"
        ),
    ]
    servers: Annotated[
        dict[str, str],
        Field(description="the AI server of each of its models that has one, by the model's name; absent if none has"),
    ]


def describe_servers(state: CameraState | None) -> Servers:
    """Return the AI servers that a camera uses, without passwords."""
    servers = Servers()
    if state and state.server:
        servers["server"] = redact(state.server)
    if state and state.servers:
        servers["servers"] = {model: redact(server) for model, server in state.servers.items()}
    return servers
