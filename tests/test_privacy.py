"""What must not get out: contents into files and logs, anything to other machines."""

import os
import re
import shutil
from pathlib import Path

import httpx2
import pytest

from founded import SHORT_ANSWERS, found_for_tests
from running import RunningCommun, with_models

pytestmark = pytest.mark.engine

QUESTION = "canary-question-8d1f"
TITLE = "canary-title-77aa"
SEARCH = "canary-search-13c5"
API = "canary-api-9be2"
TEMPORARY = "canary-temporary-40d6"
CLASS = "canary-class-2a94"
PASSWORD = "canary password 62f1 of four words"
INTERNET_CALL = re.compile(r"\b(?:connect|sendto|sendmsg|sendmmsg)\(.*AF_INET")


def use_it(commun: RunningCommun) -> list[bytes]:
    """A person and a program at work. Returns secrets that must not be found either."""
    client = commun.sign_in()
    reply = client.post("/ask", data={"question": f"{QUESTION}: say it again"}).text
    answer = re.search(r"/answers/([\w-]+)/", reply)
    conversation = re.search(r"/c/([\w-]+)/", reply)
    assert answer
    assert conversation
    with client.stream("GET", f"/answers/{answer[1]}/events") as events:
        events.read()
    client.post(f"/c/{conversation[1]}/rename", data={"title": TITLE}).raise_for_status()
    client.get("/search", params={"q": SEARCH}).raise_for_status()
    client.post("/temporary", data={"question": TEMPORARY}).raise_for_status()
    code_and_cookie = use_a_class(commun, client)
    key = commun.api_key()
    for store in (False, True):
        httpx2.post(
            f"{commun.url}/v1/chat/completions",
            headers={"authorization": f"Bearer {key}"},
            json={
                "model": "default",
                "messages": [{"role": "user", "content": API}],
                "max_tokens": 5,
                "store": store,
            },
            timeout=60,
        ).raise_for_status()
    assert TITLE in client.get(f"/c/{conversation[1]}", headers={"accept": "text/html"}).text
    assert client.post("/settings/password", data={"name": "Ada", "password": PASSWORD}).status_code == 303
    code = re.search(r'id="new-code">([^<]+)<', client.post("/settings/recovery").text)
    assert code
    with httpx2.Client(base_url=commun.url) as elsewhere:
        for password in (f"{PASSWORD}, nearly", PASSWORD):
            elsewhere.post("/sign-in", data={"name": "Ada", "password": password})
        assert elsewhere.get("/").status_code == 200
    return [
        PASSWORD.encode(),
        code[1].encode(),
        key.encode(),
        commun.token.encode(),
        *code_and_cookie,
        *(cookie.value.encode() for cookie in client.cookies.jar if cookie.value),
    ]


def use_a_class(commun: RunningCommun, administrator: httpx2.Client) -> list[bytes]:
    """A pupil asks without an account. Returns the class's code and the pupil's cookie."""
    form = {"name": "Class 4b", "hours": "1", "places": "5", "daily_tokens": "100000"}
    shown = administrator.post("/classes", data=form, headers={"accept": "text/html"}).text
    groups = re.findall(r"<span>(\w{3,4})</span>", shown)
    assert len("".join(groups)) == 10
    with httpx2.Client(base_url=commun.url, timeout=60) as pupil:
        assert pupil.post("/class", data={"code": "".join(groups)}).headers["location"] == "/temporary"
        assert CLASS in pupil.post("/temporary", data={"question": CLASS}).text
        (cookie,) = [each.value for each in pupil.cookies.jar if each.value]
    return ["".join(groups).encode(), "-".join(groups).encode(), cookie.encode()]


def test_no_file_of_the_data_folder_and_no_log_line_holds_what_was_written_nor_a_key(
    tmp_path: Path, models: Path
) -> None:
    home = with_models(tmp_path / "home", models)
    found_for_tests(home, SHORT_ANSWERS)
    with RunningCommun(home, log_level="debug", log_format="json") as commun:
        commun.wait_ready()
        secrets = use_it(commun)
        while_running = {file: file.read_bytes() for file in commun.home.rglob("*") if is_data(file)}
    afterwards = {file: file.read_bytes() for file in commun.home.rglob("*") if is_data(file)}
    assert any(file.name.endswith("-wal") for file in while_running)
    canaries = [text.encode() for text in (QUESTION, TITLE, SEARCH, API, TEMPORARY, CLASS)]
    for contents in (while_running, afterwards):
        for file, content in contents.items():
            for canary in canaries + secrets:
                assert canary not in content, f"{canary!r} in {file.name}"
    log = "".join(commun.output).replace(commun.token, "", 1)  # the link is printed once, for its reader
    for canary in canaries + secrets:
        assert canary.decode() not in log


def is_data(file: Path) -> bool:
    """Everything but the model's own files, which were there before anybody wrote."""
    return file.is_file() and "models" not in file.parts


def test_nothing_leaves_the_machine_unasked(tmp_path: Path, models: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        if os.environ.get("CI") == "true":
            pytest.fail("strace is missing: .ci/run installs it")
        pytest.skip("strace is needed to see every system call")
    trace = tmp_path / "calls"
    around = [
        *(strace, "-f", "-qq", "-o", str(trace), "-e", "trace=connect,sendto,sendmsg,sendmmsg"),
        *("-e", "inject=connect:error=ENETUNREACH"),
    ]
    with RunningCommun(with_models(tmp_path / "home", models), around=around) as commun:
        commun.wait_ready()
        use_it(commun)
    calls = [line for line in trace.read_text().splitlines() if INTERNET_CALL.search(line)]
    assert calls == []
