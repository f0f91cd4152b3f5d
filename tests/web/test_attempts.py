"""How long somebody waits who fails, and who waits for whom."""

from types import SimpleNamespace

import pytest
from starlette.requests import Request

from commun.errors import TooManyRequests
from commun.web.attempts import (
    FORGOTTEN_S,
    FREE,
    FREE_FOR_ADDRESS,
    FREE_FOR_CLASS_CODES,
    LONGEST_FOR_CLASS_CODES_S,
    LONGEST_S,
    Attempts,
    SignInAttempts,
    known_mark,
    new_mark,
)
from commun.web.limits import RateLimits, address_of
from commun.web.visit import check_address, check_signing_in

VERIFIER = b"v" * 32


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


def waits(attempts, *key):
    try:
        attempts.begin(*key)
    except TooManyRequests as error:
        return error.retry_after
    return 0


def test_after_a_few_failures_each_one_doubles_the_wait_up_to_a_quarter_of_an_hour():
    clock = Clock()
    attempts = Attempts(5, clock=clock)
    assert [waits(attempts, "a") for _ in range(6)] == [0] * 6
    told = []
    for _ in range(14):
        seconds = waits(attempts, "a")
        told.append(seconds)
        clock.now += seconds - 0.5
        assert waits(attempts, "a") == 1
        clock.now += 0.5
        assert waits(attempts, "a") == 0
    assert told == [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900, 900]
    assert waits(attempts, "b") == 0


def test_a_school_that_mistypes_codes_waits_half_a_minute_at_most():
    clock = Clock()
    attempts = Attempts(FREE_FOR_CLASS_CODES, longest_s=LONGEST_FOR_CLASS_CODES_S, clock=clock)
    assert [waits(attempts, "a") for _ in range(301)] == [0] * 301
    told = []
    for _ in range(8):
        told.append(waits(attempts, "a"))
        clock.now += told[-1]
        assert waits(attempts, "a") == 0
    assert told == [2, 4, 8, 16, 30, 30, 30, 30]


def test_a_day_of_guessing_is_a_hundred_guesses():
    clock = Clock()
    attempts, guesses = Attempts(FREE, clock=clock), 0
    while clock.now < 1000 + 86_400:
        seconds = waits(attempts, "a")
        guesses += not seconds
        clock.now += seconds
    assert guesses < 120


def test_peace_forgets_everything():
    clock = Clock()
    attempts = Attempts(5, clock=clock)
    while not waits(attempts, "a"):
        pass
    clock.now += LONGEST_S + FORGOTTEN_S + 1
    assert [waits(attempts, "a") for _ in range(6)] == [0] * 6


def test_a_stranger_who_fails_on_purpose_makes_no_known_browser_wait():
    clock = Clock()
    attempts = SignInAttempts(clock)
    for number in range(200):
        waits(attempts, "Claire", f"198.51.100.{number}", "")
    assert waits(attempts, "Claire", "203.0.113.1", "") > 0
    assert waits(attempts, "claire", "203.0.113.1", "") > 0  # the same name
    assert waits(attempts, "Claire", "203.0.113.2", "mark") == 0
    for _ in range(20):
        waits(attempts, "Claire", "203.0.113.2", "mark")
    assert waits(attempts, "Claire", "203.0.113.3", "mark") > 0  # a stolen mark guesses no faster


def test_an_address_that_tries_many_names_waits_for_all_of_them():
    attempts = SignInAttempts(Clock())
    told = [waits(attempts, f"name {number}", "198.51.100.1", "") for number in range(FREE_FOR_ADDRESS + 2)]
    assert told[:-1] == [0] * (FREE_FOR_ADDRESS + 1)
    assert told[-1] > 0


def test_whoever_is_known_waits_for_nobody_at_the_same_address():
    attempts = SignInAttempts(Clock())
    for number in range(FREE_FOR_ADDRESS + 5):
        waits(attempts, f"name {number}", "10.0.0.1", "")
    assert waits(attempts, "Claire", "10.0.0.1", "") > 0
    assert waits(attempts, "Denis", "10.0.0.1", "mark") == 0


def test_many_people_behind_one_address_who_succeed_make_nobody_wait():
    attempts = SignInAttempts(Clock())
    for number in range(300):
        assert waits(attempts, f"name {number}", "198.51.100.1", "") == 0
        attempts.succeeded(f"name {number}", "198.51.100.1", "")


def test_memory_is_bounded_and_the_longest_unused_goes_first():
    attempts = Attempts(0, clock=Clock(), size=100)
    for number in range(1000):
        waits(attempts, str(number))
    assert len(attempts._tries) == 100
    assert waits(attempts, "999") > 0
    assert waits(attempts, "5") == 0


def browser(cookies="", client="192.0.2.1"):
    settings = SimpleNamespace(public_url="", sign_in_rate_limit="1/minute")
    app = SimpleNamespace(state=SimpleNamespace(services=SimpleNamespace(settings=settings)))
    headers = [(b"cookie", cookies.encode("latin-1"))]
    scope = {"type": "http", "headers": headers, "client": (client, 1), "app": app, "scheme": "http", "path": "/"}
    return Request({**scope, "server": ("localhost", 80), "query_string": b"", "method": "GET"})


def test_a_mark_is_its_accounts_alone_and_ends_with_its_password():
    mark = new_mark(VERIFIER)
    assert known_mark(browser(f"commun_known={mark}"), VERIFIER) == mark.split(".")[0]
    assert known_mark(browser(f"commun_known={mark}"), b"w" * 32) == ""
    assert known_mark(browser(f"commun_known={mark}"), None) == ""
    nobodys = new_mark(bytes(32))
    assert known_mark(browser(f"commun_known={nobodys}"), None) == ""
    for made_up in ("", ".", "x", f"{mark}0", "é.é", "." + mark.split(".")[1]):
        assert known_mark(browser(f"commun_known={made_up}"), VERIFIER) == ""


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff::2", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
    ],
)
def test_an_ipv6_network_is_one_address(address, counted):
    assert address_of(browser(client=address)) == counted


@pytest.mark.parametrize("count", [check_signing_in, lambda request: check_address(request, "asked")])
def test_an_ipv6_network_has_the_tries_of_one_address(count):
    first = browser(client="2001:db8::1")
    first.app.state.sign_in_limits = RateLimits("1/minute")
    count(first)
    neighbour = browser(client="2001:db8::2")
    neighbour.scope["app"] = first.app
    with pytest.raises(TooManyRequests):
        count(neighbour)
