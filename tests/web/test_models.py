"""/models: a model from Hugging Face is put on this machine beside the running server, and answers nobody by it."""

import base64
import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from board_home import BoardHome, board_home
from commun.authority import Who
from commun.charter.keys import make_key
from commun.engine.default_model import DEFAULT_ID
from commun.engine.weights import ModelLibrary
from engine.test_download import Hub
from engine.test_download import hub as _hub
from engine.test_weights import quiet
from engine.tiny_model import write_tiny
from fake_engine import FakeEngine
from inhabitants import Person, inhabitant
from site_server import serving

hub = _hub
SOON_S = 120
JSON = {"Accept": "application/json"}


@pytest.fixture
def board(tmp_path: Path) -> BoardHome:
    """Of one."""
    return board_home(tmp_path / "home", ("Ada",))


@pytest.fixture
def administrator(tmp_path: Path, board: BoardHome, hub: Hub, models: Path) -> Iterator[Person]:
    """Of a server whose models come from a Hugging Face of our own."""
    hub.files["tiny.gguf"] = write_tiny(tmp_path / "source.gguf").read_bytes()
    (board.home / "models").mkdir(parents=True)
    (board.home / "models" / DEFAULT_ID).symlink_to(models / DEFAULT_ID)
    with serving(board.home, FakeEngine(), models_from=hub.url, sign_in_rate_limit="1000/minute") as site:
        yield inhabitant(site, Who.ADMINISTRATOR)


def over(client: httpx2.Client) -> str:
    """The page once nothing is being added any more."""
    until = time.monotonic() + SOON_S
    while time.monotonic() < until:
        if client.get("/models/state").json()["over"]:
            return client.get("/models").text
        time.sleep(0.2)
    raise AssertionError("it does not end")


def test_a_model_comes_while_the_server_answers_and_is_adopted_by_nobody(
    administrator: Person, hub: Hub, tmp_path: Path
) -> None:
    library = ModelLibrary(tmp_path / "home")
    with administrator.browser() as client:
        begun = client.post("/models", data={"source": "owner/name:tiny.gguf", "name": "small one"})
        assert begun.status_code == 303
        page = client.get("/models").text
        assert "Being added" in page
        refused = client.post("/models", data={"source": "owner/other", "name": ""})
        assert refused.status_code == 409
        assert "one model at a time" in refused.text
        page = over(client)
        assert "small-one" in page
        assert "It answers nobody until the board adopts it." in page
        got = library.get("small-one")
        assert got.source.startswith("huggingface:owner/name@")
        assert got.licence == "apache-2.0"
        in_force = administrator.site.app.state.services.charter.find().charter
        assert got.digest not in {model.digest for model in in_force.models.adopted}

        kept = client.post(f"/models/{DEFAULT_ID}/remove")
        assert kept.status_code == 409
        assert library.get(DEFAULT_ID)
        assert client.post("/models/small-one/remove").status_code == 303
        assert client.post("/models/small-one/remove").status_code == 404
        assert [each.id for each in library.list()] == [DEFAULT_ID]


def test_the_board_lets_one_answer_from_the_page_that_shows_it(
    administrator: Person, board: BoardHome, hub: Hub
) -> None:
    ada = board.keys["Ada"]
    with administrator.browser(follow_redirects=True) as client:
        client.post("/models", data={"source": "owner/name:tiny.gguf", "name": ""})
        assert 'name="kind" value="model"' in over(client)
        asked = {"kind": "model", "request": "tiny", "reason": "It is small."}
        assert client.post("/board/draft", data={**asked, "request": "nowhere"}).status_code == 404
        page = client.post("/board/draft", data=asked)
        assert page.status_code == 200
        assert "models/tiny.toml" in page.text
        proposed = re.search(r'name="proposed" value="([^"]+)"', page.text)
        assert proposed
        draft = {**asked, "quorum": "", "proposed": proposed[1]}
        to_sign = client.post("/board/draft/to-sign", json=draft, headers=JSON).json()
        assert board.desk.documents() == ()
        for key, status in ((make_key(), 403), (ada, 200)):
            parts = {name: base64.b64decode(text) for name, text in to_sign["payloads"].items()}
            made = {name: key.signer.sign(data).signature for name, data in parts.items()}
            post = {**draft, "key": key.public_text, "time": to_sign["time"], "signatures": made}
            assert client.post("/board/draft/sign", json=post, headers=JSON).status_code == status
        (lying,) = board.desk.documents()
        assert client.post(f"/board/{lying.document.id}/adopt").status_code == 200
        answers = board.desk.in_force().charter.models
        assert answers.default == "tiny"
        assert answers.get("tiny").digest == ModelLibrary(board.home).get("tiny").digest
        assert client.post("/models/tiny/remove").status_code == 409


def test_why_a_model_did_not_come_is_told_in_the_reader_s_language(administrator: Person, hub: Hub) -> None:
    with administrator.browser() as client:
        hub.status = 404
        client.post("/models", data={"source": "owner/name", "name": ""})
        assert "owner/name: " in over(client)
        french = client.get("/models", headers={"accept-language": "fr"}).text
        assert "<h1>Modèles sur cette machine</h1>" in french
        assert "n’a pas pu être téléchargé" in french


def test_one_that_is_stopped_leaves_no_half_of_a_model(administrator: Person, hub: Hub, tmp_path: Path) -> None:
    hub.files["tiny.gguf"] += bytes(64 << 20)
    with administrator.browser() as client:
        client.post("/models", data={"source": "owner/name:tiny.gguf", "name": ""})
        while not hub.ranges and not client.get("/models/state").json()["over"]:
            time.sleep(0.05)
        assert client.post("/models/stop").status_code == 303
        page = client.get("/models").text
    assert "It was stopped." in page
    assert [each.id for each in ModelLibrary(tmp_path / "home").list()] == [DEFAULT_ID]


def test_a_damaged_one_hides_no_other_and_can_be_removed(administrator: Person, board: BoardHome) -> None:
    (board.home / "models" / "half").mkdir()
    (board.home / "models" / "half" / "manifest.toml").write_text("id = ")
    with administrator.browser() as client:
        page = client.get("/models").text
        assert f"<small>{DEFAULT_ID}" in page
        assert "Damaged" in page
        assert client.post("/models/half/remove").status_code == 303
        assert "Damaged" not in client.get("/models").text


def test_no_file_of_the_server_s_is_taken_for_a_model_s_name(
    administrator: Person, board: BoardHome, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``owner/name`` is a path, too: of the folder in which the server was started."""
    (tmp_path / "owner").mkdir()
    write_tiny(tmp_path / "owner" / "name")
    monkeypatch.chdir(tmp_path)
    hub.status = 404
    with administrator.browser() as client:
        client.post("/models", data={"source": "owner/name", "name": "a\0b"})
        over(client)
    assert [each.id for each in ModelLibrary(board.home).list()] == [DEFAULT_ID]


def test_a_model_of_ones_own_is_drafted_on_no_page(administrator: Person, board: BoardHome, tmp_path: Path) -> None:
    ModelLibrary(board.home).add(str(write_tiny(tmp_path / "own.gguf")), progress=quiet)
    with administrator.browser() as client:
        assert 'value="own"' not in client.get("/models").text
        drafted = client.post("/board/draft", data={"kind": "model", "request": "own", "reason": "Why."})
    assert drafted.status_code == 404


@pytest.mark.parametrize("source", ["/etc/passwd", "http://127.0.0.1:1/v1", "--help", "../x/y", "", "a/b:c:d"])
def test_a_page_reaches_neither_files_nor_addresses(administrator: Person, source: str) -> None:
    with administrator.browser() as client:
        refused = client.post("/models", data={"source": source, "name": ""})
    assert refused.status_code == 400
    assert administrator.site.app.state.services.adding.state is None
