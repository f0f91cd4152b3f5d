"""What passes the guard, what does not, and what every response carries."""

import asyncio
from typing import Any

import pytest
from starlette.responses import JSONResponse, PlainTextResponse

from commun.errors import (
    BadRequest,
    BodyTooLarge,
    CommunError,
    ConfigError,
    CrossOrigin,
    HeadersTooLarge,
    TooManyRequests,
    UnknownHost,
)
from commun.web.guard import Guard, GuardRules, is_cross_origin, is_known_host
from commun.web.limits import RateLimits

RULES = GuardRules(max_body_bytes=100, max_header_bytes=1_000, hosts=("box",), public_url="https://chat.example.org")


CODECS = ("punycode", "PunyCode", "undefined", "utf-7", "raw_unicode_escape", "utf-8\0", "utf-16")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    await PlainTextResponse(body)(scope, receive, send)


def refused(_scope: Any, error: CommunError) -> Any:
    return JSONResponse({"code": error.code}, error.status)


def ask(
    path: str = "/",
    *,
    app: Any = echo,
    rules: GuardRules = RULES,
    method: str = "GET",
    chunks: tuple[bytes, ...] = (b"",),
    **headers: str,
):
    """One request. Returns the status, the headers and the body."""
    headers = {"host": "localhost:8000"} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items() if value],
    }  # fmt: skip
    incoming = [
        {"type": "http.request", "body": chunk, "more_body": number < len(chunks)}
        for number, chunk in enumerate(chunks, start=1)
    ]
    sent: list[Any] = []

    async def receive() -> Any:
        return incoming.pop(0) if incoming else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Guard(app, rules=rules, on_error=refused)(scope, receive, send))
    starts = [message for message in sent if message["type"] == "http.response.start"]
    assert len(starts) == 1
    names = [name for name, _ in starts[0]["headers"]]
    assert len(names) == len(set(names))
    body = b"".join(message.get("body", b"") for message in sent)
    return starts[0]["status"], {name.decode(): value.decode() for name, value in starts[0]["headers"]}, body


def test_a_page_carries_every_security_header() -> None:
    status, headers, _ = ask()
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert status == 200
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
    assert policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["require-trusted-types-for"] == "'script'"
    assert policy["trusted-types"] == "commun"
    assert "unsafe" not in headers["content-security-policy"]
    assert "http" not in policy["img-src"]
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-opener-policy"] == headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["strict-transport-security"]
    assert len(headers["x-request-id"]) == 16


def test_without_https_nothing_is_said_about_transport() -> None:
    assert "strict-transport-security" not in ask(rules=GuardRules(max_body_bytes=9, max_header_bytes=999))[1]


def test_the_api_carries_the_few_that_mean_something_there() -> None:
    headers = ask("/v1/models")[1]
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert "permissions-policy" not in headers


def test_a_response_that_says_otherwise_keeps_its_own_header() -> None:
    async def cached(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("x", headers={"Cache-Control": "max-age=60"})(scope, receive, send)

    assert ask(app=cached)[1]["cache-control"] == "max-age=60"


def test_refusals_carry_the_headers_too() -> None:
    status, headers, body = ask(host="evil.example")
    assert (status, body) == (421, b'{"code":"unknown_host"}')
    assert headers["content-security-policy"]
    assert headers["x-request-id"]


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8000", "localhost.", "app.localhost:1", "127.0.0.1", "127.0.0.1:8000", "[::1]", "[::1]:8000", "192.168.1.7:80",
     "box", "box:8000", "chat.example.org", "chat.example.org:443"],
)  # fmt: skip
def test_our_own_names_and_any_address_are_known_hosts(host: str) -> None:
    assert is_known_host(host, RULES.names)


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "chat.example.org.evil.example",
     "xchat.example.org", "localhost:80:80", "localhost:8o", "localhost@evil.example", "evil.example#localhost", "[::1", "[evil.example]",
     "1.2.3.4.5", "localhost, evil.example", "0x7f000001", "notlocalhost"],
)  # fmt: skip
def test_other_names_are_not(host: str) -> None:
    assert not is_known_host(host, RULES.names)


def test_a_request_for_another_name_is_refused_and_the_app_never_sees_it() -> None:
    async def never(*_: Any) -> None:
        raise AssertionError

    assert ask(app=never, host="rebound.example")[0] == UnknownHost.status
    assert ask(app=never, host="")[0] == UnknownHost.status


def test_the_api_answers_to_any_name_since_it_needs_a_key() -> None:
    assert ask("/v1/models", host="commun:8000")[0] == 200
    assert ask("/v1evil", host="commun:8000")[0] == 421


# The cases of Go 1.25's net/http TestCrossOriginProtection, for a server at chat.example.org behind which Host is kept.
@pytest.mark.parametrize(
    ("method", "site", "origin", "crosses"),
    [
        ("POST", "same-origin", "", False),
        ("POST", "none", "", False),
        ("POST", "cross-site", "", True),
        ("POST", "same-site", "", True),
        ("POST", "", "", False),
        ("POST", "", "https://chat.example.org", False),
        ("POST", "", "https://CHAT.example.org", False),
        ("POST", "", "https://attacker.example", True),
        ("POST", "", "https://chat.example.org:8443", True),
        ("POST", "", "https://x.chat.example.org", True),
        ("POST", "", "null", True),
        ("POST", "", "https://[::1", True),
        ("POST", "", "//chat.example.org/../", False),
        ("POST", "nonsense", "", True),
        ("POST", "cross-site", "https://attacker.example", True),
        ("GET", "cross-site", "", False),
        ("HEAD", "cross-site", "", False),
        ("OPTIONS", "cross-site", "", False),
        ("PUT", "cross-site", "", True),
        ("PATCH", "cross-site", "", True),
        ("DELETE", "cross-site", "", True),
        ("DELETE", "", "https://attacker.example", True),
        ("get", "cross-site", "", True),
    ],
)
def test_requests_that_change_something_must_come_from_here(method: str, site: str, origin: str, crosses: bool) -> None:
    headers = {b"host": b"chat.example.org", b"sec-fetch-site": site.encode(), b"origin": origin.encode()}
    headers = {name: value for name, value in headers.items() if value}
    assert is_cross_origin(method, headers, "") is crosses


def test_the_public_origin_counts_where_a_proxy_writes_another_host() -> None:
    headers = {b"host": b"127.0.0.1:8000", b"origin": b"https://chat.example.org"}
    assert not is_cross_origin("POST", headers, RULES.origin)
    assert is_cross_origin("POST", headers, "")
    assert is_cross_origin("POST", headers | {b"origin": b"http://chat.example.org"}, RULES.origin)


def test_a_form_on_another_site_is_refused_but_a_program_with_a_key_is_not() -> None:
    assert ask(method="POST", sec_fetch_site="cross-site")[2] == b'{"code":"cross_origin"}'
    assert ask(method="POST", origin="https://attacker.example")[0] == CrossOrigin.status
    assert ask("/v1/chat/completions", method="POST", origin="https://attacker.example")[0] == 200
    assert ask(method="POST", sec_fetch_site="same-origin", chunks=(b"hello",))[2] == b"hello"


def test_a_body_is_bounded_by_what_it_announces() -> None:
    assert ask(method="POST", content_length="100", chunks=(b"x" * 100,))[0] == 200
    assert ask(method="POST", content_length="101")[0] == BodyTooLarge.status
    assert ask(method="POST", content_length="-1")[0] == BadRequest.status
    assert ask(method="POST", content_length="1e3")[0] == BadRequest.status
    assert ask(method="POST", content_length="9" * 900)[0] == BodyTooLarge.status


def test_and_by_what_comes() -> None:
    assert ask(method="POST", chunks=(b"x" * 60, b"x" * 40))[0] == 200
    assert ask("/v1/completions", method="POST", chunks=(b"x" * 60, b"x" * 41))[2] == b'{"code":"body_too_large"}'


def test_so_it_is_where_the_application_has_its_own_answer_to_a_broken_body() -> None:
    async def swallowing(scope: Any, receive: Any, send: Any) -> None:
        try:
            await echo(scope, receive, send)
        except Exception:
            await PlainTextResponse("There was an error parsing the body", 400)(scope, receive, send)

    status, _, body = ask(app=swallowing, method="POST", chunks=(b"x" * 101,))
    assert (status, body) == (413, b'{"code":"body_too_large"}')


def test_the_head_is_bounded() -> None:
    assert ask(cookie="x" * 1_000)[0] == HeadersTooLarge.status
    assert ask("/" + "x" * 1_000)[0] == HeadersTooLarge.status


def test_two_hosts_are_one_too_many() -> None:
    sent = []
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "headers": [(b"host", b"localhost"), (b"host", b"localhost")],
    }

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Guard(echo, rules=RULES, on_error=refused)(scope, None, send))
    assert sent[0]["status"] == 400


def test_an_error_of_the_application_is_rendered_unless_the_answer_has_begun() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise TooManyRequests(retry_after=3)

    async def failing_late(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise TooManyRequests(retry_after=3)

    assert ask(app=failing)[0] == 429
    with pytest.raises(TooManyRequests):
        ask(app=failing_late)


def test_every_request_has_its_own_id_which_the_application_can_read() -> None:
    async def telling(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse(scope["state"]["request_id"])(scope, receive, send)

    first, second = ask(app=telling), ask(app=telling)
    assert first[2].decode() == first[1]["x-request-id"]
    assert first[2] != second[2]


def test_lifespan_passes_and_websockets_are_closed() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    async def send(message: Any) -> None:
        seen.append(message["type"])

    guard = Guard(app, rules=RULES, on_error=refused)
    asyncio.run(guard({"type": "lifespan"}, None, send))
    asyncio.run(guard({"type": "websocket"}, None, send))
    assert seen == ["lifespan", "websocket.close"]


def test_a_rate_is_counted_for_each_key_alone_and_says_when_to_come_back() -> None:
    limits = RateLimits("2/minute", clock=lambda: 600.0)
    limits.check("a")
    limits.check("a")
    limits.check("b")
    with pytest.raises(TooManyRequests) as refusal:
        limits.check("a")
    assert refusal.value.retry_after == 90


@pytest.mark.parametrize("spec", ["1/second", "3/minute", "20/minute", "600/minute", "7/hour"])
def test_who_waits_as_long_as_was_said_is_let_in_and_no_minute_sees_more_than_the_limit(spec: str) -> None:
    now = [1_000.0]
    limits = RateLimits(spec, clock=lambda: now[0])
    granted = []
    for step in range(3_000):
        now[0] += (step * 7919 % 13) / 40
        try:
            limits.check("a")
        except TooManyRequests as refusal:
            now[0] += refusal.retry_after
            limits.check("a")
        granted.append(now[0])
    limit, period = limits._limit, limits._period
    most = max(
        sum(start <= moment < start + period for moment in granted[index : index + 3 * limit])
        for index, start in enumerate(granted)
    )
    assert most <= 2 * limit
    assert len(granted) <= limit * ((granted[-1] - granted[0]) / period + 2)


def test_keys_that_are_quiet_are_forgotten() -> None:
    now = [0.0]
    limits = RateLimits("5/second", clock=lambda: now[0])
    for number in range(25_000):
        now[0] += 0.001
        limits.check(str(number))
    assert len(limits._windows) <= 12_000


@pytest.mark.parametrize("spec", ["often", "", "0/minute", "-1/minute", "5/year", "5", "5/minute; 1/second"])
def test_a_rate_that_cannot_be_read_is_a_setting_to_correct(spec: str) -> None:
    with pytest.raises(ConfigError, match="sign_in_rate_limit"):
        RateLimits(spec, setting="sign_in_rate_limit")


@pytest.mark.parametrize("codec", CODECS)
def test_a_body_is_decoded_by_no_codec_of_its_sender_s_choice(codec: str) -> None:
    for charset in (codec, f'"{codec}"'):
        kind = f"multipart/form-data; boundary=x; charset={charset}"
        assert ask(method="POST", sec_fetch_site="same-origin", content_type=kind)[0] == BadRequest.status


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/json; charset=UTF-8", 'multipart/form-data; charset="utf-8"']
)
def test_utf_8_may_be_named(kind: str) -> None:
    assert ask(method="POST", sec_fetch_site="same-origin", content_type=kind)[0] == 200
