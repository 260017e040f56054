"""The pages: what is served at each path."""

from collections.abc import Callable, Mapping

from aiohttp import web

from edgepub.condition import Condition
from edgepub.http import health
from edgepub.http.connections import Route, said
from edgepub.http.metrics_page import MetricsPage
from edgepub.metrics import CameraMetrics


def routes(
    node: str,
    condition: Condition,
    cameras: Mapping[str, CameraMetrics],
    outbox_sizes: Callable[[], Mapping[str, int]],
) -> dict[str, Route]:
    """Return what makes the answer of each path; each reads what it tells when it is asked."""
    page = MetricsPage(node, condition, cameras, outbox_sizes)

    def index(_: web.BaseRequest) -> web.Response:
        return said(200, f"edgepub on {node}: /healthz, /metrics")

    def healthz(_: web.BaseRequest) -> web.Response:
        status, body = health.answer(node, condition)
        return web.Response(status=status, body=body, content_type="application/json")

    def metrics(request: web.BaseRequest) -> web.Response:
        body, content_type = page.encode(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    return {"/": index, "/healthz": healthz, "/metrics": metrics}
