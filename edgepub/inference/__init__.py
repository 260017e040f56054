"""Models: the only importer of PySDK (degirum, degirum_tools)."""

from edgepub.inference.loading import loaded, spec_fields
from edgepub.inference.model import Model

__all__ = ["Model", "loaded", "spec_fields"]
