"""The blueprint in the documentation, and automations made from it that tell a topic what they would notify."""

from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
BLUEPRINT = (DOCS / "home-assistant-visit.yaml").read_text()
PATH = "edgepub/visit.yaml"
FILES = {f"blueprints/automation/{PATH}": BLUEPRINT}
"""Where Home Assistant wants it."""
_TOLD = "{{ {'tag': tag, 'title': title, 'message': message, 'image': image, 'is_update': is_update} | to_json }}"


def automation(name, **inputs):
    """Return an automation that is made from the blueprint."""
    used = {"path": PATH, "input": {"events": "event.porch_events", **inputs}}
    return {"alias": name, "id": name, "use_blueprint": used}


def tell(topic):
    """Return what publishes each message as JSON instead of notifying somebody."""
    return {"action": "mqtt.publish", "data": {"topic": topic, "payload": _TOLD}}
