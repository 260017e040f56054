"""What `edgepub bench` can measure."""

from enum import StrEnum


class Subject(StrEnum):
    """The subjects that can be measured."""

    PAYLOADS = "payloads"
    PUBLISHING = "publishing"
    DELIVERY = "delivery"
    SPOOLING = "spooling"
    STREAMING = "streaming"
    FRESHNESS = "freshness"
    CAPTURE = "capture"
    OVERLAP = "overlap"
    PIPELINES = "pipelines"
    SLOW_LINK = "slow-link"
    SCALING = "scaling"
    SHARING = "sharing"
    OBJECTS = "objects"
    EVERYTHING = "everything"
    VIEWERS = "viewers"
    STARTUP = "startup"
