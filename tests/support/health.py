"""What a daemon says of itself under `/healthz`."""

import json
import urllib.error
import urllib.request

NO_SERVER = 0, {"ready": False, "wrong": [], "notes": []}


def read_health(port):
    """Return the status code and the content; `NO_SERVER` while there is none."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=20) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except OSError:
        return NO_SERVER
