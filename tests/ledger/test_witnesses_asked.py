"""The ledger asks its witnesses: quick, slow, dead, lying, and such as have seen another history."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commun.fetching import Answer, NotReachable
from commun.ledger.checkpoint import Checkpoint, read_checkpoint
from commun.ledger.cosignature import open_checkpoint, sign_checkpoint
from commun.ledger.errors import LedgerError, TooFewWitnesses
from commun.ledger.keys import ED25519_COSIGNATURE, SignerKey
from commun.ledger.merkle import EMPTY_ROOT
from commun.ledger.note import Signature
from commun.ledger.opening import create_log, make_key
from commun.ledger.policy import Policy
from commun.ledger.witness import OtherSize, Submission
from commun.ledger.witness_state import Witness
from commun.recording import witnesses as module
from commun.recording.cosignatures import AnotherHistory, WitnessSilent, line_of
from commun.recording.witnesses import Witnesses

ORIGIN = "log.example/ours"
SOON_S = 120


class Near:
    """A real witness without the network."""

    def __init__(self, witness: Witness) -> None:
        self.witness = witness
        self.asked: list[Submission] = []

    def add_checkpoint(self, request: bytes) -> Answer:
        self.asked.append(Submission.from_bytes(request))
        try:
            return Answer(200, "text/plain", self.witness.add_checkpoint(request))
        except OtherSize as error:
            return Answer(409, "text/x.tlog.size", f"{error.size}\n".encode())
        except LedgerError as error:
            return Answer(error.status, "text/plain", error.text().encode())

    def close(self) -> None:
        pass


class Says(Near):
    """Answers what it likes."""

    def __init__(self, answer: Callable[[Submission], Answer]) -> None:
        self.answer = answer
        self.asked = []

    def add_checkpoint(self, request: bytes) -> Answer:
        self.asked.append(Submission.from_bytes(request))
        return self.answer(self.asked[-1])


class World:
    """A log, three witnesses a, b and c, and a policy that wants two of them."""

    def __init__(self, home: Path, *, needed: str = "2") -> None:
        self.key = make_key(ORIGIN)
        self.log = create_log(home / "ledger", self.key)
        self.near: dict[str, Near] = {}
        lines = []
        for name in "abc":
            witness = Witness(home / name, home / f"{name}.key", name=f"{name}.example")
            witness.add_log(self.key.verifier)
            self.near[f"{name}.example"] = Near(witness)
            lines.append(f"witness {name} {witness.keys.lines()[0]} https://{name}.example/witness\n")
        self.text = "".join(lines) + f"group g {needed} a b c\nquorum g\n"
        self.policy: Policy | None = Policy.from_bytes(self.text.encode())
        self.handed: list[bytes] = []
        self.witnesses = self.start()

    def start(self) -> Witnesses:
        return Witnesses(
            self.log,
            lambda: self.policy,
            on_witnessed=self.handed.append,
            connect=lambda url: self.near[urlsplit(url).hostname or ""],
        )

    def grow(self, count: int = 1) -> None:
        self.log.append([b"entry %d" % (self.log.head.size + number) for number in range(count)])
        self.witnesses.notice(self.log.head)

    def handed_size(self) -> int:
        return read_checkpoint(self.handed[-1])[0].size if self.handed else -1

    def signers(self, data: bytes) -> set[str]:
        assert self.policy is not None
        opened = open_checkpoint(data, log=[self.key.verifier], others=[item.key for item in self.policy.witnesses])
        return {item.key.name for item in opened.cosignatures[1:]}

    def state(self, name: str) -> module.WitnessState:
        return next(state for state in self.witnesses.states() if state.name == name)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(module, "PAUSE_S", 0.02)
    monkeypatch.setattr(module, "MAX_PAUSE_S", 0.1)
    made = World(tmp_path)
    yield made
    made.witnesses.close()
    made.log.close()


def soon(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + SOON_S
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)


def test_every_witness_cosigns_the_head_and_the_lines_stand_below_the_published_one(world) -> None:
    world.grow(5)
    soon(lambda: len(world.signers(world.log.head.data)) == 3)
    soon(lambda: world.handed_size() == 5)
    assert world.policy is not None
    world.policy.check(world.handed[-1], logs=[world.key.verifier])
    world.policy.check(world.log.files.find_checkpoint(), logs=[world.key.verifier])
    soon(lambda: all(state.size == 5 and state.at and not state.trouble for state in world.witnesses.states()))
    assert [state.host for state in world.witnesses.states()] == ["a.example", "b.example", "c.example"]
    world.grow(300)
    soon(lambda: world.handed_size() == 305)
    assert world.near["a.example"].asked[-1].old == 5, "the size that it has is remembered"


def test_after_a_restart_the_right_size_is_told_by_409_and_a_signed_head_is_not_sent_again(world) -> None:
    world.grow(5)
    soon(lambda: len(world.signers(world.log.head.data)) == 3)
    world.witnesses.close()
    asked = [len(near.asked) for near in world.near.values()]
    world.handed.clear()
    world.witnesses = world.start()
    world.witnesses.notice(world.log.head)
    soon(lambda: world.handed_size() == 5)
    assert [len(near.asked) for near in world.near.values()] == asked
    world.grow(2)
    soon(lambda: world.handed_size() == 7)
    assert [item.old for item in world.near["a.example"].asked[-2:]] == [0, 5]


def test_a_dead_and_a_slow_witness_hold_up_neither_the_ledger_nor_the_others(world) -> None:
    held = threading.Event()

    def never(_request: Submission) -> Answer:
        held.wait(SOON_S)
        raise NotReachable(host="b.example", reason="it does not answer")

    world.near["b.example"] = Says(never)
    world.policy = Policy.from_bytes(world.text.replace("group g 2", "group g any").encode())
    for size in range(1, 20):
        began = time.monotonic()
        world.grow()
        assert time.monotonic() - began < SOON_S / 2
        soon(lambda size=size: world.handed_size() >= size)
    assert len(world.near["b.example"].asked) == 1
    assert world.signers(world.handed[-1]) <= {"a.example", "c.example"}
    held.set()
    soon(lambda: world.state("b").trouble is not None)


def test_heads_that_come_faster_than_answers_still_get_a_quorum(world) -> None:
    """Each witness takes its own time; were each asked for the newest alone, they would never sign the same head."""
    no_more = threading.Event()
    for number, near in enumerate(list(world.near.values())):
        real = near.add_checkpoint

        def slowly(request: bytes, real=real, heads=4 + 3 * number) -> Answer:
            enough = world.log.head.size + heads
            while world.log.head.size < enough and not no_more.is_set():
                time.sleep(0.002)
            return real(request)

        near.add_checkpoint = slowly  # type: ignore[method-assign]

    def sizes() -> list[int]:
        return [read_checkpoint(data)[0].size for data in world.handed]

    def rounds_end_while_heads_come() -> bool:
        world.grow()
        return world.log.head.size >= 100 and len(set(sizes())) >= 5

    soon(rounds_end_while_heads_come)
    heads = world.log.head.size
    no_more.set()
    soon(lambda: world.handed_size() == heads)
    assert sizes() == sorted(sizes()), "heads do not go back"
    fewer = heads * 3 // 5
    assert all(len(near.asked) < fewer for near in world.near.values()), "no queue: heads in between are left out"
    for data in world.handed:
        world.policy.check(data, logs=[world.key.verifier])


def test_a_witness_that_comes_back_is_asked_again_without_a_new_head(world) -> None:
    back = world.near["a.example"]
    world.near["a.example"] = dead = Says(lambda _request: Answer(503, "text/plain", b""))
    world.grow(3)
    soon(lambda: world.state("a").trouble is not None)
    assert "503" in world.state("a").trouble.text()
    dead.answer = lambda request: back.add_checkpoint(request.data())
    soon(lambda: world.state("a").size == 3 and world.state("a").trouble is None)
    soon(lambda: world.signers(world.log.head.data) == {"a.example", "b.example", "c.example"})


LIAR = SignerKey("liar.example", ED25519_COSIGNATURE, b"l" * 32)


def lies(world: World) -> dict[str, Callable[[Submission], Answer]]:
    own = world.near["a.example"].witness.keys.signers[0]

    def lines(request: Submission, key: SignerKey, *, at: int = 1, extra: bytes = b"") -> Answer:
        assert request.head is not None
        return Answer(200, "text/plain", sign_checkpoint(request.head, key, time=at).line().encode() + extra)

    def renamed(request: Submission) -> Answer:
        line = sign_checkpoint(request.head, LIAR, time=1)
        return Answer(200, "", Signature(own.name, own.verifier.key_id, line.value).line().encode())

    return {
        "another key": lambda request: lines(request, LIAR),
        "another key under its name": renamed,
        "no time": lambda request: lines(request, own, at=0),
        "a time in the year 292277026596": lambda request: lines(request, own, at=2**63 - 1),
        "an older head": lambda _request: Answer(
            200, "", sign_checkpoint(read_checkpoint(first)[0], own, time=1).line().encode()
        ),
        "nothing": lambda _request: Answer(200, "text/plain", b""),
        "no UTF-8": lambda _request: Answer(200, "text/plain", b"\xff\n"),
        "a page": lambda _request: Answer(200, "text/html", b"<html>"),
        "too many lines": lambda request: lines(request, own, extra=LIAR_LINE * 100),
        "409 without a size": lambda _request: Answer(409, "text/x.tlog.size", b"many\n"),
        "409 as a page": lambda _request: Answer(409, "text/html", b"0\n"),
        "409 always": lambda _request: Answer(409, "text/x.tlog.size", b"0\n"),
        "403": lambda _request: Answer(403, "text/plain", b""),
        "404": lambda _request: Answer(404, "text/plain", b""),
        "a redirect": lambda _request: Answer(302, "text/plain", b""),
        "a mistake of ours": lambda _request: Answer(200, "text/plain", None),  # type: ignore[arg-type]
        "the network": dead,
    }


LIAR_LINE = Signature("x", b"1234", b"y").line().encode()
first = b""


def dead(_request: Submission) -> Answer:
    raise NotReachable(host="a.example", reason="it does not answer")


def test_no_lie_of_a_witness_is_used_and_each_is_told(world) -> None:
    global first  # noqa: PLW0603
    first = world.log.head.data
    for name, lie in lies(world).items():
        world.near["a.example"] = liar = Says(lie)
        world.witnesses.close()
        world.witnesses = world.start()
        world.handed.clear()
        world.grow()
        soon(lambda liar=liar: liar.asked)
        soon(lambda: world.handed_size() == world.log.head.size)
        soon(lambda: isinstance(world.state("a").trouble, WitnessSilent | NotReachable))
        assert not world.state("a").is_conflict, name
        assert world.signers(world.handed[-1]) == {"b.example", "c.example"}, name
        assert world.signers(world.log.head.data) <= {"b.example", "c.example"}, name


@given(st.binary(max_size=200) | st.text(alphabet="— ab+/=\n1", max_size=200).map(str.encode))
def test_nothing_but_a_good_line_comes_out_of_an_answer(data: bytes) -> None:
    head = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    good = sign_checkpoint(head, LIAR, time=1).line().encode()
    assert line_of(data, LIAR.verifier, head) is None
    assert line_of(good, LIAR.verifier, head) is not None
    for mixed in (data + good, good + data, good[:-1] + data):
        line = line_of(mixed, LIAR.verifier, head)
        assert line is None or line.line().encode() == good


def test_a_mistake_where_heads_are_handed_on_does_not_end_the_asking(world) -> None:
    def fail(_note: bytes) -> None:
        raise RuntimeError

    world.witnesses._on_witnessed = fail
    world.grow()
    soon(lambda: len(world.signers(world.log.head.data)) == 3)
    world.witnesses._on_witnessed = world.handed.append
    world.grow()
    soon(lambda: world.handed_size() == 2)


def test_lines_that_nobody_asked_for_are_left_out_and_the_good_one_is_used(world) -> None:
    real = world.near["a.example"]

    def chatty(request: Submission) -> Answer:
        answer = real.add_checkpoint(request.data())
        return Answer(
            answer.status, answer.media_type, LIAR_LINE + answer.data if answer.status == 200 else answer.data
        )

    world.near["a.example"] = Says(chatty)
    world.grow(2)
    soon(lambda: world.signers(world.log.head.data) == {"a.example", "b.example", "c.example"})
    assert LIAR_LINE not in world.log.head.data
    assert len(read_checkpoint(world.log.head.data)[1].signatures) == 4, "one line of each key of the policy"


@pytest.mark.parametrize("size", [3, 9, 12])
def test_a_rewritten_history_gets_no_cosignature_and_is_told_loudly(world, tmp_path, size: int) -> None:
    world.grow(9)
    soon(lambda: world.signers(world.log.head.data) == {"a.example", "b.example", "c.example"})
    world.witnesses.close()
    world.log.close()
    world.log = create_log(tmp_path / "forked", world.key)
    world.log.append([b"another %d" % number for number in range(size)])
    world.handed.clear()
    world.witnesses = world.start()
    world.witnesses.notice(world.log.head)
    soon(lambda: all(state.is_conflict for state in world.witnesses.states()))
    for state in world.witnesses.states():
        assert isinstance(state.trouble, AnotherHistory)
        assert f"The witness at {state.host} says that it has seen another history" in state.trouble.text(), "its word"
    assert not world.handed
    with pytest.raises(TooFewWitnesses):
        world.policy.check(world.log.head.data, logs=[world.key.verifier])
    kept = list((tmp_path / "a" / "evidence").glob("*")) if size != 3 else []
    assert bool(kept) == (size >= 9)


def test_another_policy_is_followed_from_the_next_head_on(world) -> None:
    world.grow()
    soon(lambda: world.handed_size() == 1)
    both = world.text
    world.policy = Policy.from_bytes(
        "".join(line for line in both.splitlines(keepends=True) if line[:9] == "witness c").encode() + b"quorum c\n"
    )
    world.grow()
    soon(lambda: world.handed_size() == 2)
    assert world.signers(world.handed[-1]) == {"c.example"}
    assert [state.name for state in world.witnesses.states()] == ["c"]
    asked = len(world.near["a.example"].asked)
    world.policy = None
    world.grow()
    time.sleep(0.1)
    assert world.handed_size() == 2
    assert world.witnesses.states() == ()
    world.policy = Policy.from_bytes(both.encode())
    world.grow()
    soon(lambda: world.handed_size() == 4)
    soon(lambda: len(world.near["a.example"].asked) > asked)


def test_a_witness_without_an_address_is_shown_and_not_asked_and_no_quorum_is_fulfilled_at_once(world) -> None:
    world.policy = Policy.from_bytes(
        b"".join(
            line.replace(b" https://a.example/witness", b"") for line in world.text.encode().splitlines(keepends=True)
        ).replace(b"quorum g", b"quorum none")
    )
    world.grow()
    soon(lambda: world.handed_size() == 1)
    soon(lambda: world.signers(world.log.head.data) == {"b.example", "c.example"})
    assert world.state("a").host == ""
    assert not world.near["a.example"].asked


def test_closing_does_not_wait_for_a_witness_that_hangs(world, monkeypatch) -> None:
    monkeypatch.setattr(module, "CLOSE_S", 0.1)
    held = threading.Event()
    world.near["a.example"] = Says(lambda _request: held.wait(SOON_S) and Answer(503, "", b""))  # type: ignore[arg-type]
    world.grow()
    soon(lambda: world.near["a.example"].asked)
    began = time.monotonic()
    world.witnesses.close()
    assert time.monotonic() - began < SOON_S / 2
    held.set()
