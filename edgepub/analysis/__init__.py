"""From objects in single frames to what happens: tracks, zones, lines; counts, and things that happen once."""

from edgepub.analysis.analysis import Analysis, Findings
from edgepub.analysis.presence import Moment, Sighting
from edgepub.analysis.rules import EventType, Occurrence

__all__ = ["Analysis", "EventType", "Findings", "Moment", "Occurrence", "Sighting"]
