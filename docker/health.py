"""Health check of the image: print the response of `/healthz`, exit with 0 if healthy. Uses the container's token."""

import os
from http.client import HTTPConnection
from pathlib import Path

token_file = os.environ.get("EDGEPUB_HTTP__TOKEN_FILE") or f"{os.environ.get('CREDENTIALS_DIRECTORY')}/http_token"
headers = {}
if Path(token_file).exists():
    headers["Authorization"] = f"Bearer {Path(token_file).read_text(encoding='utf-8').strip()}"
port = int(os.environ["EDGEPUB_HTTP__LISTEN"].rpartition(":")[2])
connection = HTTPConnection("127.0.0.1", port, timeout=4)
connection.request("GET", "/healthz", headers=headers)
answer = connection.getresponse()
print(answer.read().decode())
raise SystemExit(answer.status != 200)  # noqa: PLR2004
