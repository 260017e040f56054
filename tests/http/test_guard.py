"""Access control: who may read the pages and change what, and from where. Over real sockets."""

import asyncio
import contextlib
import json
import re
from collections import Counter
from urllib.parse import quote

import aiohttp
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepub.config.areas import Areas
from edgepub.http.limits import HttpLimits
from tests.support import odd_files
from tests.support.http_server import LocalServer

TOKEN = "0123456789abcdef0123456789abcdef"
ZONE = {"polygon": [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]}
OURS = ["edge.example.org", "EDGE.example.org"]
STRANGE = ["edge.example.org.evil.example", "edge.example.org@evil.example"]
PATHS = ["/", "/healthz", "/metrics", "/cameras", "/cameras/porch", "/cameras/porch/still", "/cameras/porch/live", "/x"]


@pytest.fixture
async def server():
    server = await LocalServer("porch").start()
    yield server
    await server.stop()


@pytest.fixture
async def start(tmp_path):
    """Return a function that starts a server with a token. All servers have one state directory, one after another."""
    async with contextlib.AsyncExitStack() as stack:

        async def run(token=TOKEN, pause_s=0.01):
            limits = HttpLimits(wrong_token_delay_s=pause_s)
            server = LocalServer("porch", token=token, allow_edit=True, limits=limits, state_dir=tmp_path)
            stack.push_async_callback(server.stop)
            return await server.start()

        yield run


@pytest.fixture
async def locked(start):
    return await start()


async def test_nothing_is_readable_without_the_token(locked, caplog):
    for path in PATHS:
        status, headers, body = await locked.request(path)
        assert (status, body) == (401, "token required: Authorization: Bearer TOKEN\n"), path
        assert headers["WWW-Authenticate"] == "Bearer"
        assert "Set-Cookie" not in headers
    for wrong in ("Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é", f"bearer {TOKEN[:-1]}"):
        assert (await locked.request("/healthz", headers={"Authorization": wrong}))[0] == 401
        assert (await locked.request("/healthz", headers={"Cookie": f"edgepub-01234567={wrong[7:]}"}))[0] == 401
    assert (await locked.request("/healthz", headers={"Authorization": f"Bearer {TOKEN}"}))[0] == 200
    assert (await locked.request("/metrics", headers={"Authorization": f"bearer {TOKEN} "}))[0] == 200
    assert TOKEN not in caplog.text


async def test_a_browser_is_asked_for_the_token_and_then_stays_logged_in(locked, caplog):
    html = {"Accept": "text/html,*/*"}
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        for path in ("/", "/cameras/porch", "/nowhere"):
            async with session.get(locked.url + path, headers=html) as answer:
                assert (answer.status, answer.content_type) == (401, "text/html")
                assert "login.js" in await answer.text()
        async with session.get(f"{locked.url}/assets/style.css") as answer:
            assert answer.status == 200
        for wrong in (b"", b"x", b"[]", b'{"token": 5}', b'{"token": ""}', b'{"token": "\\ud800"}', b'{"token": "no"}'):
            async with session.post(f"{locked.url}/login", data=wrong) as answer:
                assert (answer.status, await answer.text()) == (403, "wrong token\n")
                assert "Set-Cookie" not in answer.headers
        assert {record.levelname for record in caplog.records} == {"WARNING"}
        assert "127.0.0.1" in caplog.text
        async with session.post(f"{locked.url}/login", json={"token": f" {TOKEN}\n"}) as answer:
            assert answer.status == 204
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
            assert TOKEN not in cookie
        async with session.get(f"{locked.url}/", headers=html) as answer:
            assert answer.status == 200
        async with session.ws_connect(f"{locked.url}/cameras/porch/live") as live:
            await live.send_str("1")
            assert (await live.receive()).type is aiohttp.WSMsgType.TEXT
        async with session.post(f"{locked.url}/logout") as answer:
            assert answer.status == 204
        async with session.get(f"{locked.url}/", headers=html) as answer:
            assert answer.status == 401


async def log_in(server):
    """Return the headers of a browser that has logged in."""
    status, headers, _ = await server.request("/login", "POST", json={"token": TOKEN})
    assert status == 204
    return {"Cookie": headers["Set-Cookie"].partition(";")[0]}


async def status(server, headers):
    return (await server.request("/healthz", headers=headers))[0]


async def test_a_copied_cookie_is_worthless_after_the_logout(start):
    server = await start()
    phone, tablet = await log_in(server), await log_in(server)
    async with aiohttp.ClientSession() as session:
        live = await session.ws_connect(f"{server.url}/cameras/porch/live", headers=phone)
        await live.send_str("1")
        assert (await live.receive()).type is aiohttp.WSMsgType.TEXT
        assert (await server.request("/logout", "POST", headers=phone))[0] == 204
        await live.send_str("1")
        assert (await live.receive()).type is aiohttp.WSMsgType.CLOSE
    for _ in range(2):  # before and after a restart
        assert await status(server, phone) == 401
        assert await status(server, tablet) == 200, "another browser"
        await server.stop()
        server = await start()
    await server.stop()
    server = await start(token=TOKEN[::-1])
    assert await status(server, tablet) == 401, "a new token"
    await server.stop()
    server = await start()
    assert await status(server, phone) == 401


async def test_a_live_page_is_open_as_long_as_its_cookie_or_its_token_is_right(locked):
    right, wrong = {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": f"Bearer {TOKEN[:-1]}é"}
    async with aiohttp.ClientSession() as session:

        async def open_page(headers):
            page = await session.ws_connect(f"{locked.url}/cameras/porch/live", headers=headers)
            await page.send_str("1")
            assert (await page.receive()).type is aiohttp.WSMsgType.TEXT
            return page

        cookie = await log_in(locked)
        with_token, with_cookie = await open_page(cookie | right), await open_page(cookie | wrong)
        assert (await locked.request("/logout", "POST", headers=cookie))[0] == 204
        for page in (with_token, with_cookie):
            await page.send_str("1")
        assert (await with_token.receive()).type is aiohttp.WSMsgType.TEXT
        assert await with_cookie.receive() == (
            aiohttp.WSMsgType.CLOSE,
            aiohttp.WSCloseCode.POLICY_VIOLATION,
            "logged out",
        )


async def test_the_number_of_sessions_is_bounded(locked):
    first = await log_in(locked)
    for _ in range(99):
        newest = await log_in(locked)
    assert await status(locked, first) == 200
    newest = await log_in(locked)
    assert await status(locked, first) == 401
    assert await status(locked, newest) == 200


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 9000, b"[]", b'{"token": 1}', b'{"sessions": {"a": "b"}}', b"[" * 100_000, b"x" * 10**6],
    ids=["empty", "zeroes", "list", "type", "keys", "deep", "large"],
)
async def test_a_damaged_file_of_sessions_only_costs_a_login(start, tmp_path, content, caplog):
    (tmp_path / "http_sessions.json").write_bytes(content)
    server = await start()
    assert any("http_sessions.json" in r.getMessage() for r in caplog.records if r.levelname == "ERROR")
    (aside,) = tmp_path.glob("http_sessions.json.damaged-*")
    assert aside.read_bytes() == content
    cookie = await log_in(server)
    await server.stop()
    assert await status(await start(), cookie) == 200
    assert cookie["Cookie"].partition("=")[2].encode() not in (tmp_path / "http_sessions.json").read_bytes()


@pytest.mark.parametrize("kind", odd_files.KINDS)
async def test_what_is_no_file_of_sessions_only_costs_a_login(start, tmp_path, kind):
    odd_files.put_in_place(kind, tmp_path / "http_sessions.json")
    server = await start()
    assert [*tmp_path.glob("http_sessions.json.damaged-*")]
    cookie = await log_in(server)
    await server.stop()
    assert await status(await start(), cookie) == 200


@pytest.mark.parametrize("way", ["login", "bearer"])
async def test_many_wrong_tokens_at_once_do_not_pass_the_pause_and_delay_nobody_else(start, way, caplog):
    server = await start(pause_s=0.5)
    loop = asyncio.get_running_loop()
    began_s = loop.time()

    async def guess(number):
        wrong = f"{number:032x}"
        if way == "login":
            code, _, _ = await server.request("/login", "POST", json={"token": wrong})
        else:
            code, _, _ = await server.request("/metrics", headers={"Authorization": f"Bearer {wrong}"})
        return code, loop.time() - began_s

    guesses = [asyncio.create_task(guess(number)) for number in range(30)]
    await asyncio.wait(guesses, return_when=asyncio.FIRST_COMPLETED)
    right_s = loop.time()
    assert await status(server, {"Authorization": f"Bearer {TOKEN}"}) == 200
    assert await status(server, await log_in(server)) == 200
    assert loop.time() - right_s < 0.4
    results = await asyncio.gather(*guesses)
    refused_s = sorted(at_s for code, at_s in results if code == (403 if way == "login" else 401))
    assert 1 <= len(refused_s) <= 5
    assert all(at_s >= 0.5 * (number + 1) for number, at_s in enumerate(refused_s))
    assert {code for code, _ in results} == {401 if way == "bearer" else 403, 429}
    assert "127.0.0.1" in caplog.text
    assert (await guess(1))[0] == (401 if way == "bearer" else 403), "the next one is answered again"


async def test_pages_of_other_sites_can_do_nothing(server):
    async def put(**headers):
        path = "/cameras/porch/settings/min_score"
        return (await server.request(path, "PUT", data=b"0.25", headers=headers))[0]

    own = f"127.0.0.1:{server.port}"
    assert await put() == 200, "no browser"
    assert await put(Origin=f"http://{own}") == 200
    assert await put(Origin=f"https://{own}") == 200, "behind a proxy that speaks TLS"
    assert await put(Origin=f"http://{own}", **{"Sec-Fetch-Site": "same-origin"}) == 200
    for foreign in ("http://evil.example", "null", "http://127.0.0.1:1", "http://[", ""):
        assert await put(Origin=foreign) == 403, foreign
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
                await session.ws_connect(f"{server.url}/cameras/porch/live", headers={"Origin": foreign})
    for site in ("cross-site", "same-site"):
        assert await put(**{"Sec-Fetch-Site": site}) == 403
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": "no-cors"}
        assert (await server.request("/cameras/porch/still", headers=headers))[0] == 403, (
            "a picture in another site's page"
        )
        assert (await server.request("/", headers={**headers, "Sec-Fetch-Mode": "navigate"}))[0] == 200, (
            "a link to here"
        )
        headers["Sec-Fetch-Mode"] = "navigate"
        assert (await server.request("/login", "POST", data=b"{}", headers=headers))[0] == 403, "a form"


async def test_a_host_name_that_could_be_anyones_is_refused():
    server = await LocalServer("porch", hosts=["edge.example.org"]).start()
    for name in ("127.0.0.1", "localhost", "edgebox", "a.localhost", "192.168.1.5", "[::1]", *OURS):
        assert (await server.request("/healthz", headers={"Host": f"{name}:{server.port}"}))[0] == 200, name
        assert (await server.request("/healthz", headers={"Host": name}))[0] == 200, name
    for name in ("evil.example", "127.0.0.1.evil.example", "x.edge.example.org", "[", "", "a b.c", *STRANGE):
        status, _, body = await server.request("/healthz", headers={"Host": name})
        assert status in (400, 421), name
        assert body.count("\n") == 1
        assert "garage" not in body
    assert (await server.send_raw(b"GET /healthz HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.0 200"), "no browser"
    headers = {"Origin": "https://edge.example.org"}  # a proxy that uses the node's address as Host
    assert (await server.request("/cameras/porch/settings/min_score", "PUT", data=b"0.25", headers=headers))[0] == 200
    await server.stop()


async def test_every_response_has_the_security_headers(server):
    for path in (*PATHS, "/assets/style.css", "/assets/nothing"):
        for method in ("GET", "POST"):
            _, headers, _ = await server.request(path, method)
            policy = headers["Content-Security-Policy"]
            assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'"), path
            assert "unsafe" not in policy
            assert "http" not in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert "Access-Control-Allow-Origin" not in headers


async def test_settings_are_set_as_by_mqtt_commands(server):
    path = "/cameras/porch/settings/min_score"
    status, _, body = await server.request(path, "PUT", data=b"0.25")
    values = {"enabled": True, "snapshot_enabled": True, "min_score": 0.25, "max_fps": None}
    assert (status, orjson.loads(body)) == (200, values)
    status, _, body = await server.request(path, "PUT", data=b"much")
    assert (status, body) == (422, "min_score cannot be set to b'much'\n")
    status, _, body = await server.request("/cameras/porch/settings/quality", "PUT", data=b"1")
    assert (status, body) == (404, "no such setting; available: enabled, snapshot_enabled, min_score, max_fps\n")
    assert (await server.request("/cameras/yard/settings/min_score", "PUT", data=b"1"))[0] == 404
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await server.request(path, "PUT", data=b"1" * 100_000)


async def test_zones_are_saved_only_with_allow_edit(server, locked):
    body = json.dumps({"zones": {"drive": ZONE}, "lines": {}})
    path = "/cameras/porch/areas"
    for method in ("PUT", "DELETE"):
        status, _, text = await server.request(path, method, data=body)
        assert status == 403
        assert "http.allow_edit" in text
        assert (await locked.request(path, method, data=body))[0] == 401
    assert not server.area_store.saved
    headers = {"Authorization": f"Bearer {TOKEN}"}
    status, _, text = await locked.request(path, "PUT", data=body, headers=headers)
    saved = orjson.loads(text)
    assert (status, saved["saved"], saved["lines"]) == (200, True, {})
    assert saved["zones"] == {"drive": {**ZONE, "labels": None, "anchor": "bottom_center", "loitering_s": None}}
    assert locked.area_store.saved == {"porch": Areas.model_validate({"zones": {"drive": ZONE}})}
    status, _, text = await locked.request(path, "DELETE", headers=headers)
    assert (status, orjson.loads(text)) == (200, {"zones": {}, "lines": {}, "ignore": {}, "saved": False})


@pytest.mark.parametrize(
    ("areas", "place", "why"),
    [
        ({"zones": {"a b": ZONE}}, ["zones", "a b"], "the name must have"),
        ({"zones": {"a": {"polygon": [[0, 0], [1, 1]]}}}, ["zones", "a", "polygon"], "needs at least 3"),
        ({"zones": {"a": {"polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}}}, ["zones", "a"], "crosses itself"),
        ({"zones": {"a": {"polygon": [[0, 0], [2, 1], [1, 0]]}}}, ["zones", "a", "polygon", 1], "fractions"),
        ({"zones": {"a": {**ZONE, "labels": []}}}, ["zones", "a", "labels"], "needs at least one"),
        ({"zones": {"a": {**ZONE, "colour": 1}}}, ["zones", "a", "colour"], "unknown key"),
        ({"lines": {"a": {"from": [0, 0], "to": [0, 0]}}}, ["lines", "a"], "the same point"),
        ({"ignore": {"a": {"polygon": [[0, 0], [1, 1], [1, 0], [0, 1]]}}}, ["ignore", "a"], "crosses itself"),
        ({"ignore": {"a b": ZONE}}, ["ignore", "a b"], "the name must have"),
        ({"zones": []}, ["zones"], "not a list"),
        ({"lines": {"a": None}}, ["lines", "a"], ""),
        ({"cameras": {}}, ["cameras"], "unknown key"),
        ([], [], ""),
        (None, [], ""),
    ],
)
async def test_invalid_zones_are_refused_with_their_place_and_change_nothing(locked, areas, place, why):
    headers = {"Authorization": f"Bearer {TOKEN}"}
    status, _, text = await locked.request("/cameras/porch/areas", "PUT", data=json.dumps(areas), headers=headers)
    (mistake,) = orjson.loads(text)["mistakes"]
    assert (status, mistake["place"]) == (422, place)
    assert why in mistake["why"]
    assert not locked.area_store.saved


TEXTS = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=40)
KNOWN = [
    *("/", "/healthz", "/metrics", "/login", "/logout", "/assets/style.css", "/assets/index.html", "/cameras"),
    *("/cameras/porch", "/cameras/porch/still", "/cameras/porch/live", "/cameras/porch/areas"),
    *("/cameras/porch/settings/min_score", "/cameras/porch/settings/max_fps", "/cameras/yard/live"),
]
HOSTILE = [
    *("/assets/../../../etc/passwd", "/assets/..%2f..%2fpages.py", "/assets/%2e%2e/pages.py", "/assets//etc/passwd"),
    *("/../edgepub.yaml", "/%2e%2e/%2e%2e/etc/passwd", "//evil.example/", "/cameras/%00", "/cameras/%ff/live", "*"),
]
SEGMENTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
TARGETS = (
    st.sampled_from(KNOWN) | st.sampled_from(HOSTILE) | st.lists(SEGMENTS, max_size=4).map(lambda s: "/" + "/".join(s))
)
METHODS = st.sampled_from(["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "X"])
WRITES = [("PUT", "/cameras/porch/areas"), ("PUT", "/cameras/porch/settings/min_score"), ("POST", "/login")]
ASKED = st.tuples(METHODS, TARGETS) | st.sampled_from(WRITES)
NAMES = [
    *("Host", "Origin", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Authorization", "Cookie", "Accept", "Content-Type"),
    *("Content-Length", "Transfer-Encoding", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"),
    *("Range", "Expect", "If-None-Match", "X"),
]
VALUES = TEXTS | st.sampled_from(["websocket", "Upgrade", "13", "text/html", "chunked", "5", "127.0.0.1", "navigate"])
HEADERS = st.just({}) | st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3)
KEYS = st.sampled_from(["zones", "lines", "polygon", "from", "to", "labels", "anchor", "a", "token"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
BODIES = st.just(b"") | st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode(errors="replace"))


@pytest.mark.slow
def test_random_requests_cause_no_internal_error(caplog):
    """No 500, no traceback, no file outside the site; with and without the token."""
    limits = HttpLimits(wrong_token_delay_s=0.0, still_timeout_s=0.05)
    statuses = Counter()
    with asyncio.Runner() as runner:
        server = runner.run(LocalServer("porch", token=TOKEN, allow_edit=True, limits=limits).start())

        @settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
        @given(ASKED, st.just("") | TEXTS.map(quote) | TEXTS, HEADERS, BODIES, st.booleans())
        def ask(method_and_target, query, headers, body, knows_token):
            method, target = method_and_target
            given = {"Host": "a", "Content-Length": str(len(body)), "Connection": "close"}
            if knows_token:
                given["Authorization"] = f"Bearer {TOKEN}"
            lines = "".join(f"{name}: {value}\r\n" for name, value in {**given, **headers}.items())
            target += f"?{query}"
            answer = runner.run(exchange(server, f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + body))
            head, _, _ = answer.partition(b"\r\n\r\n")
            assert b"Traceback" not in answer, answer
            assert b"root:" not in answer, answer
            if b"text/javascript" not in head:
                assert b"import " not in answer, answer
            if match := re.match(rb"HTTP/1\.[01] (\d+) ", answer):
                status = int(match[1])
                statuses[status] += 1
                assert status < 500 or status == 503, answer

        ask()
        assert runner.run(server.request("/healthz", headers={"Authorization": f"Bearer {TOKEN}"}))[0] == 200
        runner.run(server.stop())
    assert {200, 400, 401, 403, 404, 405, 422} <= statuses.keys(), statuses
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def exchange(server, request):
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(request)
    try:
        async with asyncio.timeout(0.3):
            return await reader.read()
    except (ConnectionError, TimeoutError):
        return b""
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
