"""The demo: everything embedded, through the very same daemon."""
