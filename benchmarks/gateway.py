"""What stands between a program and its model: Commun beside LiteLLM and Open WebUI, before the same stub, in one run.

    python benchmarks/gateway.py                    three rounds, tables
    python benchmarks/gateway.py --rounds 5 --json

- the stub (stub.py) answers at once with 20 canned tokens, so that what is measured is the gateway alone;
- ``commun``: everything real but the engine, which answers at once in the process (stub_engine.py). Every request has
  ``store: true``: each answer is sealed to its owner's key and committed to the database before it ends;
- ``commun, remote``: ``commun serve`` with the stub as remote engine, storing in the same way: as the others are;
- LiteLLM and Open WebUI as they come, one worker, nothing stored by LiteLLM, titles and tags off in Open WebUI;
- gateway, stub and client share the machine; the contenders take turns in each round. "First" is the first text.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peers
import rules
from load import Refused, Target, ask_in_turn, ask_once, percentile
from peers import HERE, PYTHON, Child, Missing, say

CLIENTS = 16
MESSAGES = [{"role": "user", "content": "Say twenty words about anything."}]
Row = dict[str, float]


@dataclass(frozen=True, slots=True)
class Gateway:
    """``extra``: added to the request's body. ``path``: of the chat completions."""

    name: str
    child: Child
    target: Target
    path: str = "/v1/chat/completions"
    extra: tuple[tuple[str, Any], ...] = ()

    def request(self, *, stream: bool) -> bytes:
        return self.target.request(self.path, {"messages": MESSAGES, "stream": stream, **dict(self.extra)})


async def account(home: Path) -> str:
    """An API key of a founder who has opened the link, so that there is a vault to seal to."""
    from commun.app import DATABASE_FILE
    from commun.store.accounts import Accounts
    from commun.store.database import Database

    database = Database(home / DATABASE_FILE)
    database.open()
    try:
        accounts = Accounts(database, session_days=1)
        signed_in = await accounts.redeem_link(await accounts.make_link(), session=None)
        return await accounts.make_api_key(signed_in.viewer.account_id, "benchmark")
    finally:
        database.close()


def start_commun(work: Path, *, profile: bool = False) -> Gateway:
    home, port = work / "stub-home", peers.free_port()
    home.mkdir()
    key = asyncio.run(account(home))
    env = {"COMMUN_HOME": str(home), "COMMUN_RATE_LIMIT": "100000000/minute"}
    command = [PYTHON, HERE / "stub_engine.py", port, *(["profile"] if profile else [])]
    child = Child(command, log=work / "commun.log", env=env)
    child.wait_for(port)
    return Gateway("commun", child, Target(f"http://127.0.0.1:{port}", key), extra=(("store", True),))


def start_commun_remote(work: Path, stub_port: int) -> Gateway:
    home, port = work / "remote-home", peers.free_port()
    home.mkdir()
    key = asyncio.run(account(home))
    url = f"http://127.0.0.1:{stub_port}/v1"
    rules.found(home, model=rules.stub_model(url))
    child = peers.commun(home, port, work / "commun-remote.log")
    child.wait_for(port)
    return Gateway("commun, remote", child, Target(f"http://127.0.0.1:{port}", key), extra=(("store", True),))


def start_litellm(work: Path, stub_port: int, folder: Path) -> Gateway:
    programs, port = peers.environment("litellm", folder), peers.free_port()
    model = {"model": "openai/stub", "api_base": f"http://127.0.0.1:{stub_port}/v1", "api_key": "none"}
    config = work / "litellm.yaml"
    config.write_text(json.dumps({"model_list": [{"model_name": "stub", "litellm_params": model}]}))
    key = "sk-benchmark-of-the-day"  # it refuses to start without one; Commun checks one, too
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MASTER_KEY": key}
    command = [programs / "litellm", "--config", config, "--port", port, "--host", "127.0.0.1", "--telemetry", "False"]
    child = Child(command, log=work / "litellm.log", env=env)
    child.wait_for(port)
    return Gateway("litellm", child, Target(f"http://127.0.0.1:{port}", key, "stub"))


def start_open_webui(work: Path, stub_port: int, folder: Path) -> Gateway:
    programs, port = peers.environment("open-webui", folder), peers.free_port()
    off = ("WEBUI_AUTH", "ENABLE_OLLAMA_API", "ENABLE_TITLE_GENERATION", "ENABLE_TAGS_GENERATION")
    env = {
        **dict.fromkeys((*off, "ENABLE_FOLLOW_UP_GENERATION", "ENABLE_VERSION_UPDATE_CHECK"), "False"),
        "OPENAI_API_BASE_URL": f"http://127.0.0.1:{stub_port}/v1",
        "OPENAI_API_KEY": "none",
        "DATA_DIR": str(work / "open-webui"),
        "OFFLINE_MODE": "True",
        "HF_HUB_OFFLINE": "1",
        "WEBUI_SECRET_KEY": "benchmark",
        "GLOBAL_LOG_LEVEL": "ERROR",
    }
    (work / "open-webui").mkdir()
    command = [programs / "open-webui", "serve", "--host", "127.0.0.1", "--port", port]
    child = Child(command, log=work / "open-webui.log", env=env)
    child.wait_for(port)
    url = f"http://127.0.0.1:{port}"
    body = json.dumps({"email": "", "password": ""}).encode()
    request = urllib.request.Request(f"{url}/api/v1/auths/signin", body, {"content-type": "application/json"})
    token = json.loads(urllib.request.urlopen(request, timeout=30).read())["token"]
    return Gateway("open-webui", child, Target(url, token, "stub"), "/api/chat/completions")


def start_all(work: Path, args: argparse.Namespace, gateways: list[Gateway]) -> None:
    """Appends to ``gateways`` what could be started, so that the caller can stop them whatever happens here."""
    child, port = peers.stub(work / "stub.log")
    gateways.append(Gateway("stub", child, Target(f"http://127.0.0.1:{port}", model="stub")))
    starters: dict[str, Callable[[], Gateway]] = {
        "commun": lambda: start_commun(work, profile=args.profile_server),
        "commun, remote": lambda: start_commun_remote(work, port),
        "litellm": lambda: start_litellm(work, port, args.peers),
        "open-webui": lambda: start_open_webui(work, port, args.peers),
    }
    for name, start in starters.items():
        if args.only and name not in args.only:
            continue
        try:
            gateway = start()
            answers_soon(gateway)
            gateways.append(gateway)
        except (Missing, OSError) as missing:
            say(f"{name} is skipped: {missing}")


def answers_soon(gateway: Gateway) -> None:
    """A first answer of each kind. Raises Missing."""
    for stream in (True, False):
        for attempt in range(100):
            try:
                asyncio.run(ask_once(gateway.target, gateway.request(stream=stream)))
                break
            except (Refused, OSError) as error:
                if attempt == 99:
                    gateway.child.stop()
                    raise Missing(f"{error}; {gateway.child.last_words()}") from error
                asyncio.run(asyncio.sleep(0.1))


def one_round(gateway: Gateway, seconds: float) -> Row:
    row: Row = {}
    for kind, stream in (("stream", True), ("whole", False)):
        request = gateway.request(stream=stream)
        for clients in (1, CLIENTS):
            timings, elapsed = asyncio.run(ask_in_turn(gateway.target, request, clients=clients, seconds=seconds))
            total = [1000 * timing.total_s for timing in timings]
            name = f"{kind}_{clients}"
            row[f"{name}_per_s"] = len(timings) / elapsed
            row[f"{name}_p50_ms"] = statistics.median(total)
            row[f"{name}_p99_ms"] = percentile(total, 0.99)
            if stream:
                first = [1000 * timing.first_s for timing in timings]
                row[f"{name}_first_p50_ms"] = statistics.median(first)
                row[f"{name}_first_p99_ms"] = percentile(first, 0.99)
    return row


COLUMNS = {
    "stream_1_first_p50_ms": "first alone p50 ms",
    "stream_1_first_p99_ms": "p99",
    "stream_1_p50_ms": "streamed alone p50 ms",
    "stream_1_p99_ms": "p99",
    "stream_16_per_s": "streamed, 16: req/s",
    "stream_16_p99_ms": "p99 ms",
    "whole_1_p50_ms": "whole alone p50 ms",
    "whole_1_p99_ms": "p99",
    "whole_16_per_s": "whole, 16: req/s",
    "whole_16_p99_ms": "p99 ms",
    "rss_mb": "RSS after, MB",
}


def table(medians: dict[str, Row]) -> str:
    lines = ["\n| | " + " | ".join(COLUMNS.values()) + " |", "|---" * (len(COLUMNS) + 1) + "|"]
    for name, row in medians.items():
        cells = [f"{row[key]:.2f}" if row[key] < 10 else f"{row[key]:.0f}" for key in COLUMNS]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def summary(rounds: dict[str, list[Row]], medians: dict[str, Row]) -> dict[str, Any]:
    """``added_*``: above the stub, median of the rounds' own differences."""
    told: dict[str, Any] = {}
    for name, rows in rounds.items():
        if name == "stub":
            continue
        prefix = "" if name == "commun" else name.replace(", ", "_").replace("-", "_") + "_"
        for key in ("first_p50", "first_p99"):
            pairs = zip(rows, rounds["stub"], strict=True)
            added = [row[f"stream_1_{key}_ms"] - stub[f"stream_1_{key}_ms"] for row, stub in pairs]
            told[f"{prefix}added_{key}_ms"] = statistics.median(added)
        told[f"{prefix}requests_per_s_stream"] = medians[name]["stream_16_per_s"]
        told[f"{prefix}requests_per_s"] = medians[name]["whole_16_per_s"]
    return told | {"medians": medians}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--quick", action="store_true", help="one round of one second each")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    parser.add_argument("--only", action="append", help="a contender; may be given more than once")
    parser.add_argument("--peers", type=Path, default=peers.PEERS, help="where the peers' environments are or go")
    parser.add_argument("--profile-server", action="store_true", help="show where Commun's time goes (slows it)")
    args = parser.parse_args()
    peers.end_cleanly()
    seconds, count = (1.0, 1) if args.quick else (args.seconds, args.rounds)
    gateways: list[Gateway] = []
    with tempfile.TemporaryDirectory(prefix="commun-bench-", ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        try:
            start_all(work, args, gateways)
            rounds: dict[str, list[Row]] = {gateway.name: [] for gateway in gateways}
            for number in range(count):
                for gateway in gateways:
                    rounds[gateway.name].append(one_round(gateway, seconds))
                say(f"round {number + 1} of {count}")
            memory = {gateway.name: sum(gateway.child.memory_mb().values()) for gateway in gateways}
        finally:
            for gateway in gateways:
                with contextlib.suppress(OSError):
                    gateway.child.stop()
        if args.profile_server:
            say((work / "commun.log").read_text())
    medians = {
        name: {key: statistics.median(row[key] for row in rows) for key in rows[0]} | {"rss_mb": memory[name]}
        for name, rows in rounds.items()
    }
    print(table(medians))
    told = summary(rounds, medians)
    print("\n" + ", ".join(f"{key} {value:.2f}" for key, value in told.items() if key != "medians"))
    if args.json:
        print(json.dumps(told))
    return 0 if "commun" in rounds else 1


if __name__ == "__main__":
    sys.exit(main())
