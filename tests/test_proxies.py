"""Whom a request is counted as, where a proxy says that it forwards: only proxies that are named are believed."""

import subprocess
import sys

import httpx2
import pytest
from uvicorn.middleware.proxy_headers import _TrustedHosts

from commun.config import load_settings
from commun.errors import ConfigError
from commun.server import believed

SERVED = """
import sys
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from commun.config import load_settings
from commun.server import serve_until_stopped
from commun.web.limits import address_of

async def told(url):
    print(url, flush=True)

async def who(request):
    return PlainTextResponse(address_of(request))

serve_until_stopped(Starlette(routes=[Route("/", who)]), load_settings(port=0, proxies=sys.argv[1]), told)
"""
SOMEBODY = "203.0.113.9"


def counted_as(proxies: str, forwarded: str) -> str:
    """By a server's process of its own, of a request of this machine."""
    with subprocess.Popen([sys.executable, "-c", SERVED, proxies], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            url = server.stdout.readline().strip()
            return httpx2.get(url, headers={"x-forwarded-for": forwarded}, timeout=120).text
        finally:
            server.terminate()


def test_a_proxy_on_this_machine_is_believed_as_long_as_nothing_else_is_set() -> None:
    assert counted_as(load_settings().proxies, SOMEBODY) == SOMEBODY


def test_so_is_one_in_a_network_that_is_named_and_what_stands_before_the_last_stranger_is_anybodys() -> None:
    assert counted_as("10.0.0.0/8, 127.0.0.0/8", f"198.51.100.1, {SOMEBODY}, 10.1.2.3") == SOMEBODY


@pytest.mark.parametrize("proxies", ["", "192.0.2.1"])
def test_nobody_else_is(proxies: str) -> None:
    assert counted_as(proxies, SOMEBODY) == "127.0.0.1"


@pytest.mark.parametrize("host", ["127.0.0.1", "::ffff:127.0.0.1"])
def test_a_network_is_believed_with_bits_of_a_host_and_where_the_server_listens_on_both_kinds(host: str) -> None:
    trusted = _TrustedHosts(believed("10.0.0.5/8, 127.0.0.1,::1,"))
    assert host in trusted
    assert host.replace("127.0.0.1", "10.200.3.4") in trusted
    assert host.replace("127.0.0.1", "11.0.0.1") not in trusted
    assert host.replace("127.0.0.1", "127.0.0.2") not in trusted


@pytest.mark.parametrize(
    "proxies", ["*", "proxy.example.org", "10.0.0.0/33", "10.0.0", "172.18.0.0/16 172.19.0.0/16", "::1,1.2.3.4.5"]
)
def test_nor_can_everybody_be_or_a_name_that_others_could_take_or_what_is_no_network(proxies: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_settings(proxies=proxies)
    assert refused.value.details["setting"] == "proxies"
