"""The demo: everything embedded, through the very same daemon."""

from edgepub.demo.show import show

__all__ = ["show"]
