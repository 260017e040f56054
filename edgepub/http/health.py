"""`/healthz`: whether all is well, and what is not."""

import json

from edgepub.condition import Condition


def answer(node: str, condition: Condition) -> tuple[int, bytes]:
    """Return the status and the JSON that tell how it is: 200 while it is ready, else 503."""
    wrong = condition.wrong
    payload = {
        "ready": not wrong,
        "node": node,
        "wrong": wrong,
        "broker": {
            "status": "online" if condition.broker.fault is None else "offline",
            "fault": condition.broker.fault,
        },
        "cameras": {name: {"status": its.status, "fault": its.fault} for name, its in condition.cameras.items()},
    }
    text = json.dumps(payload, ensure_ascii=False) + "\n"
    # A file's name in an error may hold bytes that are no UTF-8; this makes them JSON's own escapes.
    return 503 if wrong else 200, text.encode(errors="backslashreplace")
