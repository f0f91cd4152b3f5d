"""The ledger's pages and published files on a whole Commun: what a stranger sees, verifies and cannot reach."""

import base64
import hashlib
import html
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from commun.fetching import LogSite
from commun.ledger.cosignature import sign_checkpoint
from commun.ledger.keys import ED25519_COSIGNATURE, SignerKey, VerifierKey
from commun.ledger.merkle import leaf_hash
from commun.ledger.policy import Policy
from commun.ledger.proof import LogProof
from commun.ledger.tiles import unpack_entries
from commun.ledger.verification import verify_log
from fake_engine import FakeEngine
from founded import found_for_tests
from site_server import Site, serving

FRENCH = {"Accept-Language": "fr"}
WAITED_S = 120
IN_PART = 2  # exit status of commun receipt verify


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    home = tmp_path_factory.mktemp("ledger") / "home"
    with serving(home, FakeEngine("Because."), sign_in_rate_limit="1000/minute") as running:
        yield running


def services(site: Site) -> Any:
    return site.app.state.services


def asked(member: httpx2.Client, question: str = "Why?") -> tuple[str, str]:
    """A conversation with one answer: its id, and the answer's."""
    response = member.post("/ask", data={"question": question})
    assert response.status_code == 200
    (answer,) = re.findall(r'<article class="message answer[^"]*" id="m-(\w+)"', response.text)
    return response.url.path.removeprefix("/c/"), answer


def position_of(site: Site, receipt: str) -> int:
    """Once the ledger has it."""
    deadline = time.monotonic() + WAITED_S
    while time.monotonic() < deadline:
        found = site.run(services(site).receipts.find_position(receipt))
        if found is not None:
            return int(found)
        time.sleep(0.05)
    raise AssertionError("the ledger did not take the receipt")


@pytest.fixture(scope="module")
def logged(site: Site, member: httpx2.Client) -> tuple[str, int]:
    """A receipt's id and its place in the ledger."""
    _conversation, answer = asked(member)
    found = site.receipt_of(answer)
    return found, position_of(site, found)


def key_of(stranger: httpx2.Client) -> VerifierKey:
    return VerifierKey.from_text(stranger.get("/ledger/key").text.strip())


# --- the published files


def test_anybody_verifies_the_whole_ledger_from_its_address(site: Site, stranger: httpx2.Client, logged) -> None:
    reader = LogSite(f"{site.url}/ledger")
    try:
        verified = verify_log(reader, [key_of(stranger)])
    finally:
        reader.close()
    assert verified.size > logged[1]


def test_the_command_line_verifies_it_too(site: Site, stranger: httpx2.Client, logged) -> None:
    vkey = stranger.get("/ledger/key").text.strip()
    command = [sys.executable, "-m", "commun.cli", "ledger", "verify", f"{site.url}/ledger", "--vkey", vkey]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "every tile was recomputed" in done.stdout


def test_they_are_for_every_sites_scripts_and_know_nobody(stranger: httpx2.Client, logged) -> None:
    for path, media_type, kept in (
        ("/ledger/checkpoint", "text/plain; charset=utf-8", "no-cache"),
        ("/ledger/witnessed", "text/plain; charset=utf-8", "no-cache"),
        ("/ledger/key", "text/plain; charset=utf-8", "no-cache"),
        ("/ledger/policy", "text/plain; charset=utf-8", "no-cache"),
        ("/ledger/tile/0/" + partial(stranger), "application/octet-stream", "max-age=60"),
        ("/ledger/tile/entries/" + partial(stranger), "application/octet-stream", "max-age=60"),
        ("/ledger/tile/9/000", "", "no-store"),
    ):
        response = stranger.get(
            path, headers={"Cookie": "commun_session=somebody", "Origin": "https://elsewhere.example"}
        )
        assert response.status_code == (200 if media_type else 404), path
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["cross-origin-resource-policy"] == "cross-origin"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "sandbox" in response.headers["content-security-policy"]
        assert "set-cookie" not in response.headers
        assert "cookie" not in response.headers.get("vary", "").lower()
        assert kept in response.headers["cache-control"]
        if media_type:
            assert response.headers["content-type"] == media_type
            head = stranger.head(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == str(len(response.content))


def partial(stranger: httpx2.Client) -> str:
    """The last tile of level 0, by its path below the level."""
    size = int(stranger.get("/ledger/checkpoint").text.split("\n")[1])
    assert 0 < size < 256
    return f"000.p/{size}"


def test_a_head_that_has_not_changed_is_not_sent_again(stranger: httpx2.Client, logged) -> None:
    first = stranger.get("/ledger/checkpoint")
    again = stranger.get("/ledger/checkpoint", headers={"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.headers["access-control-allow-origin"] == "*"


def test_they_are_served_under_whatever_name_a_verifier_knows_and_pages_are_not(
    stranger: httpx2.Client, logged
) -> None:
    name = {"Host": "mirror.example"}
    tile = f"/ledger/tile/0/{partial(stranger)}"
    for path in ("/ledger/checkpoint", "/ledger/witnessed", "/ledger/key", "/ledger/policy", tile):
        assert stranger.get(path, headers=name).status_code == 200
    for path in ("/ledger", "/ledger/entry/0", "/ledger/find?receipt=x", "/share/x", "/ledger/entry/0/proof"):
        assert stranger.get(path, headers=name).status_code == 421


def test_the_policy_names_this_ledger_and_is_the_command_lines_too(site: Site, stranger: httpx2.Client, logged) -> None:
    policy = stranger.get("/ledger/policy").content
    assert policy == f"log {key_of(stranger).text()}\nquorum none\n".encode()
    command = [sys.executable, "-m", "commun.cli", "ledger", "policy", "--home", str(services(site).settings.home)]
    assert subprocess.run(command, capture_output=True, timeout=60, check=True).stdout == policy
    page = html.unescape(stranger.get("/ledger").text)
    assert 'href="/ledger/policy" download="ledger-policy.txt"' in page
    first_root = services(site).charter.get().first_root
    assert f"commun receipt verify answer.bundle.json --charter {first_root} --policy ledger-policy.txt" in page


def test_a_kept_answer_is_verified_with_what_the_page_says(tmp_path: Path) -> None:
    """And without it, only in part. The engine is scripted, under the adopted model's name."""
    public = "http://commun.town"
    with (
        serving(tmp_path / "home", FakeEngine("Because."), public_url=public) as site,
        httpx2.Client(base_url=site.url, timeout=120, follow_redirects=True) as client,
    ):
        adopted = services(site).charter.get().charter.models.adopted[0]
        info = site.engine.info
        slots = {name: getattr(info, name) for name in info.__slots__}
        site.engine.info = type(info)(**slots | {"model": adopted.id, "model_digest": adopted.digest})
        client.get(site.link().replace(public, site.url))
        _conversation, answer = asked(client)
        position_of(site, site.receipt_of(answer))
        bundle = tmp_path / "answer.bundle.json"
        bundle.write_bytes(client.get(f"/receipt/{site.receipt_of(answer)}/bundle").content)
        policy = tmp_path / "ledger-policy.txt"
        policy.write_bytes(client.get("/ledger/policy").content)
        assert policy.read_text().startswith(f"log {key_of(client).text()} {public}/ledger\n")
        command = [sys.executable, "-m", "commun.cli", "receipt", "verify", str(bundle)]
        command += ["--charter", services(site).charter.get().first_root]
        assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == IN_PART
        command += ["--policy", str(policy)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "path",
    [
        ".lock", ".staged", ".beside", "keys/ledger.key", "../keys/ledger.key", "%2e%2e/keys/ledger.key",
        "tile/", "tile/0", "tile/0/", "tile/0/../../../keys/ledger.key", "tile/..%2f..%2fkeys%2fledger.key",
        "tile/0/x000/000", "tile/0/000.p/256", "tile/0/000.p/0", "tile/0/000/", "tile/64/000", "tile/entries/999",
        "tile//etc/passwd", "tile/0/000%00", "tile/0/٠٠٠", "tile/entries/000.p/999", "checkpoint/", "tile/.lock",
    ],
)  # fmt: skip
def test_nothing_else_of_the_folder_can_be_reached(stranger: httpx2.Client, logged, path: str) -> None:
    response = stranger.get(f"/ledger/{path}")
    assert response.status_code in {404, 307}, path
    if response.status_code == 307:
        assert urls_end(response) in {"/ledger/tile/0", "/ledger/checkpoint"}


def urls_end(response: httpx2.Response) -> str:
    return httpx2.URL(response.headers["location"]).path


def test_a_link_that_somebody_put_there_is_not_followed(site: Site, stranger: httpx2.Client, logged) -> None:
    home = services(site).settings.home
    tile = home / "ledger" / "tile" / "7"
    tile.mkdir()
    (tile / "000").symlink_to(home / "keys" / "ledger.key")
    response = stranger.get("/ledger/tile/7/000")
    assert response.status_code == 503
    assert "PRIVATE" not in response.text


def test_the_private_key_is_in_nothing_that_is_served(site: Site, stranger: httpx2.Client, logged) -> None:
    text = (services(site).settings.home / "keys" / "ledger.key").read_text().strip()
    secret = text.split("+", 4)[4]  # PRIVATE, KEY, the name, the id; base64 has plus signs of its own
    for path in ("/ledger", "/ledger/key", "/ledger/checkpoint", "/ledger/entry/0"):
        text = stranger.get(path).text
        assert secret not in text
        assert "PRIVATE" not in text


# --- the pages


def test_the_ledger_is_public_and_says_what_it_has(stranger: httpx2.Client, logged) -> None:
    response = stranger.get("/ledger")
    assert response.status_code == 200
    assert "set-cookie" not in response.headers
    assert "Edition 1 was adopted" in response.text
    assert "Nobody outside watches this ledger yet." in response.text
    key = stranger.get("/ledger/key").text.strip()
    assert key in html.unescape(response.text)
    root = stranger.get("/ledger/checkpoint").text.split("\n")[2]
    assert base64.b64decode(root).hex() in response.text
    assert 'id="sidebar"' not in response.text


def test_it_is_read_in_the_language_that_is_asked_for(stranger: httpx2.Client, logged) -> None:
    assert stranger.get("/ledger", headers=FRENCH).headers["content-language"] == "fr"
    assert stranger.get("/ledger?lang=en", headers=FRENCH).headers["content-language"] == "en"
    assert '<html lang="fr"' in stranger.get("/ledger/entry/0", headers=FRENCH).text


def test_an_entry_has_a_proof_that_a_verifier_accepts(stranger: httpx2.Client, logged) -> None:
    number = logged[1]
    page = stranger.get(f"/ledger/entry/{number}")
    assert page.status_code == 200
    assert "commun/receipt/1" in page.text
    assert "<svg" in page.text
    response = stranger.get(f"/ledger/entry/{number}/proof")
    assert f'filename="entry-{number}.tlog-proof"' in response.headers["content-disposition"]
    proof = LogProof.from_bytes(response.content)
    key = key_of(stranger)
    policy = Policy.from_bytes(f"log {key.text()}\nquorum none\n".encode())
    assert proof.index == number
    proof.check(leaf_hash(entry_at(stranger, number)), policy)
    for hash_ in proof.hashes:
        assert hash_.hex() in page.text


def entry_at(stranger: httpx2.Client, number: int) -> bytes:
    at = partial(stranger)
    return unpack_entries(stranger.get(f"/ledger/tile/entries/{at}").content, int(at.rsplit("/", 1)[1]))[number]


@pytest.mark.parametrize(
    "number", ["99999", "-1", "01", "x", "1e3", "9" * 19, "9" * 30, "٣", "%00", "1%2f2", "0x1", " 1"]
)
def test_what_is_no_entry_is_nothing(stranger: httpx2.Client, logged, number: str) -> None:
    assert stranger.get(f"/ledger/entry/{number}").status_code == 404
    assert stranger.get(f"/ledger/entry/{number}/proof").status_code == 404
    assert stranger.get("/ledger", params={"before": number.strip() or "x"}).status_code in {200, 404}


def test_earlier_entries_are_a_page_away(stranger: httpx2.Client, logged) -> None:
    earlier = stranger.get("/ledger?before=1")
    assert earlier.status_code == 200
    assert 'href="/ledger/entry/0"' in earlier.text
    assert 'href="/ledger/entry/1"' not in earlier.text
    assert stranger.get("/ledger?before=x").status_code == 404


# --- finding


def test_a_receipt_is_found_by_its_id_by_its_envelope_and_by_its_number(site: Site, stranger, logged) -> None:
    name, number = logged
    entry = entry_at(stranger, number).decode()
    (digest,) = re.findall('"sha256":"([0-9a-f]{64})"', entry)
    for wanted in (name, digest, digest.upper(), f" {name[:32]} {name[32:]}\n", str(number)):
        response = stranger.get("/ledger/find", params={"receipt": wanted})
        assert (response.status_code, response.headers.get("location")) == (303, f"/ledger/entry/{number}"), wanted
    french = stranger.get("/ledger/find", params={"receipt": name, "lang": "fr"})
    assert french.headers["location"] == f"/ledger/entry/{number}?lang=fr"


@pytest.mark.parametrize(
    "wanted", ["", "0" * 64, "x" * 64, "1" * 63, "999999", "<script>alert(1)</script>", "é" * 80, "0" * 10_000]
)
def test_what_is_not_there_gets_a_page_with_the_cure(stranger: httpx2.Client, logged, wanted: str) -> None:
    response = stranger.get("/ledger/find", params={"receipt": wanted})
    assert response.status_code == 404
    assert 'action="/ledger/find"' in response.text
    assert "<script>alert" not in response.text


def test_an_erased_conversations_entry_is_found_by_its_envelope(site: Site, stranger, member) -> None:
    conversation, answer = asked(member, "To be erased")
    name = site.receipt_of(answer)
    number = position_of(site, name)
    (digest,) = re.findall('"sha256":"([0-9a-f]{64})"', entry_at(stranger, number).decode())
    assert member.post(f"/c/{conversation}/delete").status_code == 200
    site.run(services(site).conversations.purge_deleted(older_than_s=0))
    assert stranger.get("/ledger/find", params={"receipt": name}).status_code == 404
    found = stranger.get("/ledger/find", params={"receipt": digest})
    assert found.headers["location"] == f"/ledger/entry/{number}"


def test_looking_for_digests_is_bounded(tmp_path: Path) -> None:
    with (
        serving(tmp_path / "home", FakeEngine(), sign_in_rate_limit="3/minute") as site,
        httpx2.Client(base_url=site.url, timeout=120) as client,
    ):
        found = [
            client.get("/ledger/find", params={"receipt": hashlib.sha256(bytes([n])).hexdigest()}) for n in range(5)
        ]
        assert [each.status_code for each in found] == [404, 404, 404, 429, 429]
        assert client.get("/ledger").status_code == 200


def test_a_ledger_that_stopped_says_so_and_is_read_all_the_same(tmp_path: Path) -> None:
    """Somebody puts an older head back: the writer stops rather than sign a fork."""
    home = tmp_path / "home"
    with (
        serving(home, FakeEngine("Because.")) as site,
        httpx2.Client(base_url=site.url, timeout=120, follow_redirects=True) as client,
    ):
        older = (home / "ledger" / "checkpoint").read_bytes()
        client.get(site.link())
        _conversation, answer = asked(client)
        position_of(site, site.receipt_of(answer))
        (home / "ledger" / "checkpoint").write_bytes(older)
        asked(client, "And now?")
        deadline = time.monotonic() + WAITED_S
        while services(site).recorder.trouble is None and time.monotonic() < deadline:
            time.sleep(0.05)
        page = client.get("/ledger")
        assert page.status_code == 200
        assert "The ledger does not go on at the moment" in page.text
        assert "Edition 1 was adopted" in page.text


def test_the_witnesses_that_the_charter_names_are_shown_and_what_was_heard_of_them(tmp_path: Path) -> None:
    keys = [
        SignerKey(f"witness.example/{name}", ED25519_COSIGNATURE, bytes([at]) * 32) for at, name in enumerate("abc")
    ]
    lines = [f"witness {key.name[-1]} {key.verifier.text()}" for key in keys]
    lines[0] += " http://127.0.0.1:1/"  # nobody listens there
    policy = "\n".join([*lines, "group two 2 a b c", "quorum two"])
    home = tmp_path / "home"
    found_for_tests(home, {'policy = ""': f'policy = """\n{policy}"""'})
    with (
        serving(home, FakeEngine("Because.")) as site,
        httpx2.Client(base_url=site.url, timeout=120, follow_redirects=True) as client,
    ):
        page = client.get("/ledger").text
        assert "2 of 3 witnesses" in page
        assert "does not have the countersignatures yet" in page
        assert client.get("/ledger/witnessed").status_code == 404
        own = f"log {key_of(client).text()}\n"
        assert client.get("/ledger/policy").text == own + "\n".join([*lines, "group two 2 a b c", "quorum two"]) + "\n"
        deadline = time.monotonic() + WAITED_S
        while 'class="trouble"' not in (page := client.get("/ledger").text) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert re.search(r'class="trouble">.*127\.0\.0\.1[^<]*: it does not answer', page)
        log = services(site).recorder.log
        head = log.head.checkpoint
        now = int(time.time())
        log.add_signatures(head, [sign_checkpoint(head, key, time=now) for key in keys[1:]])
        page = client.get("/ledger").text
        assert "has the countersignatures that the charter asks for" in page
        assert page.count("countersigned, <time") == 2
