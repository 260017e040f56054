"""The address of the node's page, for a link in Home Assistant."""

import re
from ipaddress import ip_address

from edgepub.config.settings import HttpSettings

_MADE_UP = re.compile(r"localhost|[0-9a-f]{12}")
"""Host names that no other machine knows. Container runtimes use the start of the container's id."""


def find_page_address(settings: HttpSettings, host_name: str) -> str | None:
    """Return the address of the page as other machines know it; None if they cannot reach it, or it is not known.

    It contains no token: the page asks for that.

    Args:
        settings: the settings under `http`.
        host_name: the name of this machine. Used if the server listens on all interfaces.

    """
    if settings.listen is None or settings.is_on_loopback:
        return None
    host, _, port = settings.listen.rpartition(":")
    address = ip_address(host.strip("[]"))
    if not address.is_unspecified:
        return None if address.is_link_local else f"http://{host}:{port}"
    return None if not host_name or _MADE_UP.fullmatch(host_name) else f"http://{host_name}:{port}"
