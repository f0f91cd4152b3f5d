"""Whatever ends a turn, its receipt verifies: under a charter that was really signed and adopted."""

import asyncio
import base64
import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from charters import CHARTER, Fixed, in_force, model
from commun.assistant.admission import Admission
from commun.assistant.energy import EnergyMeter
from commun.assistant.engines import Engines
from commun.assistant.question import Question
from commun.assistant.turn import Assistant, Done, Failed, Turn
from commun.charter.clauses import Model, Models
from commun.charter.edition import InForce
from commun.charter.loader import load
from commun.charter.repository import Repository
from commun.engine.base import Delta, EngineInfo, Finish, FinishReason, Message, Prompt
from commun.errors import EngineLoading, InternalError, QueueFull
from commun.places import CHARTER_FOLDER, TRUST_FOLDER
from commun.receipts.adopted import charter_files
from commun.receipts.bundle import PENDING, Bundle, Logged
from commun.receipts.issue import Receipt
from commun.receipts.statement import PREDICATE_TYPE, Scheme, State, Statement
from commun.receipts.verification import Outcome, Trust, Verdict, verify
from commun.store.conversations import MessageState
from fake_engine import FakeEngine
from founded import found_for_tests
from issuers import EPOCH, ORIGIN, SIGNER, TestIssuer, verified, with_seed

pytestmark = pytest.mark.anyio
CANARY = "Zyzzyva"
QUESTION = Question(messages=(Message("user", f"What is a {CANARY}?"),))
ANSWER = f"A {CANARY} is a weevil."


@dataclass
class Notebook:
    """A record that remembers what it was given, and whether the ledger had it by then."""

    issuing: TestIssuer
    kept: list[tuple[dict[str, Any], MessageState, Receipt | None]] = field(default_factory=list)
    broken: bool = False

    async def checkpoint(self, content: dict[str, Any]) -> None: ...

    async def keep(self, content: dict[str, Any], state: MessageState, receipt: Receipt | None) -> None:
        if self.broken:
            raise OSError(28, "No space left on device")
        assert self.issuing.logbook.submitted == []
        self.kept.append((content, state, receipt))


@dataclass
class House:
    """An assistant under an adopted charter, on a scripted engine that says it is what the charter names."""

    in_force: InForce
    files: dict[str, bytes] | None
    issuing: TestIssuer = field(default_factory=TestIssuer)

    def assistant(self, engine: FakeEngine, *, running: int = 4, waiting: int = 4) -> Assistant:
        return Assistant(
            charter=Fixed(self.in_force),
            engines=Engines(lambda _wish: engine),
            admission=Admission(running=running, waiting=waiting),
            meter=EnergyMeter(watt=10),
            issuer=self.issuing.issuer,
        )

    def engine(self, answer: Any = ANSWER, **other: Any) -> FakeEngine:
        engine = FakeEngine(answer, **other)
        adopted = self.in_force.charter.models.get(self.in_force.charter.models.default)
        engine.info = replace(engine.info, model=adopted.id, model_digest=adopted.digest)
        return engine

    def checked(self, receipt: Receipt) -> Statement:
        """All but the ledger's part holds, for whoever pins the charter and the key."""
        bundle = receipt.bundle(charter=self.files, ledger=Logged(receipt=PENDING))
        data = with_seed(bundle, receipt.statement.seed).data()
        report = verify(data, Trust(charter=self.in_force.first_root, keys=(SIGNER.key.text(),)))
        assert report.verdict is Verdict.PARTIAL, report.detail
        missing = [step.number for step in report.steps if step.outcome is Outcome.MISSING]
        assert missing == ([7] if self.files is not None else [5, 6, 7])
        assert report.statement is not None
        assert report.statement.ledger == ORIGIN
        return report.statement


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> tuple[InForce, dict[str, bytes]]:
    home = tmp_path_factory.mktemp("adopted")
    found_for_tests(home)
    repository = Repository(home / CHARTER_FOLDER)
    one = load(repository, home / TRUST_FOLDER, now=datetime.now(UTC))
    return one, dict(charter_files(repository, one.edition.number))


@pytest.fixture
def house(adopted: tuple[InForce, dict[str, bytes]]) -> House:
    return House(*adopted)


async def last_of(turn: Turn, *, at_first_word: Callable[[], Any] | None = None) -> Done | Failed:
    last: Any = None
    async for _number, last in turn.follow():
        if isinstance(last, Delta) and at_first_word is not None:
            at_first_word()
    assert isinstance(last, Done | Failed)
    return last


async def receipt_of(turn: Turn, **then: Any) -> Receipt:
    last = await last_of(turn, **then)
    assert last.receipt is not None
    return last.receipt


async def test_a_whole_answer_is_kept_with_its_receipt_then_logged_then_told(house: House) -> None:
    notebook = Notebook(house.issuing)
    turn = house.assistant(house.engine()).begin(QUESTION, notebook, "the message")
    last = await last_of(turn)
    assert isinstance(last, Done)
    ((content, state, receipt),) = notebook.kept
    assert receipt is last.receipt
    assert house.issuing.logbook.submitted == [receipt]
    assert house.issuing.nobodys.kept == []
    assert state is MessageState.COMPLETE
    assert turn.receipt_id == content["receipt"]
    statement = house.checked(last.receipt)
    assert (statement.state, statement.finish, statement.error) == (State.COMPLETE, "stop", "")
    assert statement.context.kept == 1
    assert statement.answer_tokens == last.answer.completion_tokens


async def test_what_nobody_keeps_has_a_receipt_that_is_kept_alone(house: House) -> None:
    receipt = await receipt_of(house.assistant(house.engine()).begin(QUESTION))
    assert house.issuing.nobodys.kept == house.issuing.logbook.submitted == [receipt]
    assert house.checked(receipt).state is State.COMPLETE


async def test_a_stopped_answer(house: House) -> None:
    turn = house.assistant(house.engine("word " * 1000, delay_s=0.001)).begin(QUESTION)
    statement = house.checked(await receipt_of(turn, at_first_word=turn.stop))
    assert (statement.state, statement.finish) == (State.STOPPED, "cancelled")
    assert 0 < statement.answer_tokens < 1000


async def test_a_turn_that_was_stopped_in_the_queue_names_no_engine(house: House) -> None:
    assistant = house.assistant(house.engine("word " * 1000, delay_s=0.001), running=1)
    first, second = assistant.begin(QUESTION), assistant.begin(QUESTION)
    await asyncio.sleep(0.01)
    second.stop()
    statement = house.checked(await receipt_of(second))
    assert (statement.state, statement.engine.name, statement.answer_tokens) == (State.STOPPED, "", 0)
    assert statement.model_id == house.in_force.charter.models.default
    first.stop()
    await last_of(first)


async def test_an_engine_that_fails_in_the_middle(house: House) -> None:
    statement = house.checked(await receipt_of(house.assistant(house.engine(fail_after=2)).begin(QUESTION)))
    assert (statement.state, statement.error) == (State.FAILED, "engine_failed")
    assert (statement.engine.name, statement.answer_tokens) == ("fake", 2)


async def test_a_question_that_never_reached_the_engine(house: House) -> None:
    statement = house.checked(await receipt_of(house.assistant(house.engine(context_length=5)).begin(QUESTION)))
    assert (statement.state, statement.error, statement.engine.name) == (State.FAILED, "message_too_long", "")
    assert statement.commitments["prompt_messages"] is None


async def test_an_engine_that_never_told_what_it_is_leaves_the_charter_s_words(house: House) -> None:
    class Silent(FakeEngine):
        told: EngineInfo

        @property
        def info(self) -> EngineInfo:
            raise EngineLoading(retry_after=1)

        @info.setter
        def info(self, value: EngineInfo) -> None:
            self.told = value

    statement = house.checked(await receipt_of(house.assistant(Silent()).begin(QUESTION)))
    charter = house.in_force.charter
    assert (statement.error, statement.model_id) == ("engine_loading", charter.models.default)
    assert statement.engine.profile == charter.sampling.profile


async def test_an_unforeseen_failure(house: House) -> None:
    engine = house.engine(lambda _prompt, _sampling: 1 / 0)
    statement = house.checked(await receipt_of(house.assistant(engine).begin(QUESTION)))
    assert (statement.state, statement.error) == (State.FAILED, "internal_error")


async def test_an_engine_that_ends_without_saying_why_has_failed(house: House) -> None:
    class Mute(FakeEngine):
        async def generate(self, prompt: Prompt, sampling: Any) -> Any:
            yield Delta((1,), "a", (-1.0,))

    engine = Mute()
    engine.info = house.engine().info
    statement = house.checked(await receipt_of(house.assistant(engine).begin(QUESTION)))
    assert (statement.state, statement.error) == (State.FAILED, "engine_failed")


async def test_an_answer_that_closing_interrupted(house: House) -> None:
    notebook = Notebook(house.issuing)
    assistant = house.assistant(house.engine("word " * 1000, delay_s=0.001))
    turn = assistant.begin(QUESTION, notebook)
    async for _number, event in turn.follow():
        if isinstance(event, Delta):
            break
    await assistant.close()
    ((_content, state, receipt),) = notebook.kept
    assert state is MessageState.INTERRUPTED
    assert receipt is not None
    assert house.checked(receipt).state is State.INTERRUPTED


@pytest.mark.parametrize(
    ("wish", "disclosed"),
    [
        ({"prompt": Prompt((0, 1), text="Once upon")}, [["text", "Once upon"]]),
        ({"prompt": Prompt((0, 1))}, None),
    ],
    ids=["a text", "token ids"],
)
async def test_a_plain_text_that_is_continued(house: House, wish: dict[str, Any], disclosed: Any) -> None:
    receipt = await receipt_of(house.assistant(house.engine()).begin(Question(**wish)))
    statement = house.checked(receipt)
    assert (statement.context.kind, statement.context.kept, statement.prompt_tokens) == ("text", 0, 2)
    told = receipt.values.prompt_messages
    assert disclosed == (None if told is None else [list(message) for message in told])


@pytest.mark.parametrize(
    "wish",
    [
        {"temperature": 0.0},
        {"temperature": 0.1 + 0.2, "top_p": 1 / 3, "max_tokens": 3},
        {"stop": ("weevil", "\udfff")},
        {"json_schema": '{"title": "\ud800"}'},
        {"persona": "humour", "language": "fr"},
        {"messages": (Message("system", "Rhyme."), Message("user", "\ud800 half a pair"))},
        {"messages": (Message("user", ""),)},
    ],
    ids=["greedy", "odd numbers", "stop strings", "a schema", "a persona", "a caller's system message", "nothing"],
)
async def test_every_wish_that_is_granted_can_be_stated(house: House, wish: dict[str, Any]) -> None:
    house.checked(await receipt_of(house.assistant(house.engine()).begin(replace(QUESTION, **wish))))


async def test_what_was_left_out_is_counted(house: House) -> None:
    old = (Message("user", "old " * 300), Message("assistant", "yes " * 300))
    question = replace(QUESTION, messages=old + QUESTION.messages)
    statement = house.checked(await receipt_of(house.assistant(house.engine(context_length=500)).begin(question)))
    assert (statement.context.kept, statement.context.dropped) == (1, 2)


async def test_the_seed_was_derived_before_the_first_token_as_the_statement_says(house: House) -> None:
    engine, nonce = house.engine(), bytes(range(32))
    turn = house.assistant(engine).begin(replace(QUESTION, nonce=nonce))
    told = turn.receipt_id
    statement = house.checked(await receipt_of(turn))
    ((_prompt, sampling),) = engine.calls
    assert statement.seed == house.issuing.logbook.seed(nonce)
    assert (statement.seed.scheme, statement.seed.value) == (Scheme.DERIVED, sampling.seed)
    assert (statement.seed.nonce, statement.seed.nonce_by) == (nonce.hex(), "caller")
    epoch = hashlib.sha256(EPOCH)
    named = hashlib.sha256(b"commun-receipt-id/2\n" + epoch.digest() + nonce).hexdigest()
    assert statement.receipt == told == named


async def test_without_a_nonce_the_server_draws_one_and_says_so(house: House) -> None:
    statement = house.checked(await receipt_of(house.assistant(house.engine()).begin(QUESTION)))
    assert (statement.seed.scheme, statement.seed.nonce_by) == (Scheme.DERIVED, "server")


async def test_a_turn_that_found_no_place_has_not_used_its_nonce(house: House) -> None:
    assistant = house.assistant(house.engine(), running=1, waiting=0)
    nonces = [bytes([number]) * 32 for number in range(2)]
    turn = assistant.begin(replace(QUESTION, nonce=nonces[0]))
    with pytest.raises(QueueFull):
        assistant.begin(replace(QUESTION, nonce=nonces[1]))
    assert house.issuing.logbook.withdrawn == [house.issuing.logbook.seed(nonces[1])]
    await receipt_of(turn)


@pytest.mark.parametrize(
    ("wish", "scheme"), [({"seed": 5}, Scheme.CALLER), ({"drawn_seed": 5}, Scheme.DRAWN), ({"seed": 5, "drawn_seed": 6}, Scheme.CALLER)]
)  # fmt: skip
async def test_a_seed_that_was_given_stays(house: House, wish: dict[str, int], scheme: Scheme) -> None:
    engine = house.engine()
    statement = house.checked(await receipt_of(house.assistant(engine).begin(replace(QUESTION, **wish))))
    assert (statement.seed.scheme, statement.seed.value, engine.calls[0][1].seed) == (scheme, 5, 5)


async def test_a_clock_that_is_set_back_ends_no_turn_before_it_began(house: House) -> None:
    times = iter([datetime(2026, 11, 22, 9, 30, 0, 900_000, tzinfo=UTC), datetime(2026, 11, 22, 8, 30, tzinfo=UTC)])
    house.issuing = TestIssuer(now=lambda: next(times))
    statement = house.checked(await receipt_of(house.assistant(house.engine()).begin(QUESTION)))
    assert statement.began == statement.ended == datetime(2026, 11, 22, 9, 30, tzinfo=UTC)


async def test_the_times_are_the_wall_clock_s(house: House) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    statement = house.checked(await receipt_of(house.assistant(house.engine()).begin(QUESTION)))
    assert before <= statement.began <= statement.ended <= datetime.now(UTC)


async def test_an_ended_mandate_is_stated(house: House) -> None:
    house.in_force = replace(house.in_force, stale_since=datetime(2026, 1, 1, tzinfo=UTC))
    assert house.checked(await receipt_of(house.assistant(house.engine()).begin(QUESTION))).charter.stale


async def test_the_envelope_holds_nothing_that_anybody_wrote(house: House) -> None:
    wishes = {"stop": (CANARY * 2,), "json_schema": f'{{"title": "{CANARY}"}}'}
    receipt = await receipt_of(house.assistant(house.engine()).begin(replace(QUESTION, **wishes), turn_id="the turn"))
    payload = base64.b64decode(json.loads(receipt.envelope)["payload"])
    assert PREDICATE_TYPE.encode() in payload
    for secret in (CANARY, "weevil", "the turn", *(salt.hex() for salt in receipt.salts.values())):
        assert secret.encode() not in payload
    assert CANARY not in repr(receipt)


# --- another server's engine ---


class Another(FakeEngine):
    """Another server: tells no prompt ids, and whatever it likes about itself."""

    ends = Finish(FinishReason.STOP, 5, 2, 0.0, 0.0)
    says = (Delta((), "No ", ()), Delta((), "ids.", ()))

    async def render(self, messages: Any) -> Prompt:
        return Prompt(None, tuple(messages))

    async def count(self, prompt: Prompt) -> int:
        return 5

    async def generate(self, prompt: Prompt, sampling: Any) -> Any:
        self.calls.append((prompt, sampling))
        for delta in self.says:
            yield delta
        yield self.ends


@pytest.fixture
def elsewhere() -> House:
    named: Model = model("default", "", format="remote", url="https://example.org/v1", remote_model="m")
    return House(in_force(replace(CHARTER, models=Models("default", (named,)))), None)


def another(**info: Any) -> Another:
    engine = Another()
    engine.info = replace(
        engine.info, **{"name": "vllm", "version": "", "profile": "remote", "model_digest": ""} | info
    )
    return engine


async def test_another_server_s_answer(elsewhere: House) -> None:
    engine = another()
    statement = elsewhere.checked(await receipt_of(elsewhere.assistant(engine).begin(QUESTION)))
    assert (statement.engine.profile, statement.sampler.id, statement.model_digest) == ("remote", "remote", "")
    assert (statement.seed.scheme, statement.seed.value) == (Scheme.REMOTE, engine.calls[0][1].seed)
    assert (statement.prompt_tokens, statement.answer_tokens) == (5, 2)
    assert {name for name, told in statement.commitments.items() if told} == {"prompt_messages", "answer_text"}


async def test_another_server_is_asked_for_the_caller_s_seed(elsewhere: House) -> None:
    engine = another()
    statement = elsewhere.checked(await receipt_of(elsewhere.assistant(engine).begin(replace(QUESTION, seed=5))))
    assert (statement.seed.scheme, statement.seed.value, engine.calls[0][1].seed) == (Scheme.REMOTE, 5, 5)


@pytest.mark.parametrize(
    "info",
    [
        {"name": "", "version": "v" * 9999},
        {"name": "\x1b[2J\ud800", "notes": {"\x00": "", "n" * 999: "x" * 99_999}},
        {"notes": {f"note {number}": "\ud800" for number in range(999)}},
    ],
    ids=["no name", "control characters", "many notes"],
)
async def test_no_server_keeps_a_receipt_from_being_issued_by_what_it_calls_itself(
    elsewhere: House, info: dict[str, Any]
) -> None:
    elsewhere.checked(await receipt_of(elsewhere.assistant(another(**info)).begin(QUESTION)))


@pytest.mark.parametrize(
    ("says", "ends"),
    [
        ((Delta((1,), "a", ()), Delta((2,), "b", (-0.5,))), Finish(FinishReason.STOP, 1, 2, 0.0, 0.0)),
        ((Delta((), "a", (-0.5,)),), Finish(FinishReason.STOP, 1, 1, 0.0, 0.0)),
        ((Delta((2**31,), "a", (float("-inf"),)),), Finish(FinishReason.LENGTH, 2**31, 2**31, 0.0, 0.0)),
        ((Delta((), "a\ud800", ()),), Finish(FinishReason.STOP, 0, 10**6, 0.0, 0.0)),
    ],
    ids=["figures for some", "figures without tokens", "the largest counts", "half a character"],
)
async def test_nor_by_what_it_tells_of_an_answer(elsewhere: House, says: tuple[Delta, ...], ends: Finish) -> None:
    engine = another()
    engine.says, engine.ends = says, ends
    elsewhere.checked(await receipt_of(elsewhere.assistant(engine).begin(QUESTION)))


# --- what cannot be issued, or not kept ---


@contextlib.contextmanager
def logged() -> Iterator[list[Any]]:
    with capture_logs() as lines:
        yield lines
    assert CANARY not in json.dumps(lines, default=str)


async def test_an_answer_is_kept_although_its_receipt_could_not_be_issued_and_that_is_told(house: House) -> None:
    engine = house.engine()
    engine.info = replace(engine.info, profile="a new one")
    notebook = Notebook(house.issuing)
    with logged() as lines:
        last = await last_of(house.assistant(engine).begin(QUESTION, notebook))
    assert isinstance(last, Failed)
    assert isinstance(last.error, InternalError)
    assert (last.answer.text, last.receipt) == (ANSWER, None)
    ((content, state, receipt),) = notebook.kept
    assert (content["text"], content["error"], state, receipt) == (ANSWER, "internal_error", MessageState.FAILED, None)
    assert "receipt" not in content
    assert house.issuing.logbook.submitted == []
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["receipt could not be issued"]


async def test_an_answer_that_nobody_keeps_is_told_as_failed_where_its_receipt_cannot_be_kept(house: House) -> None:
    house.issuing.nobodys.broken = True
    with logged():
        last = await last_of(house.assistant(house.engine()).begin(QUESTION))
    assert isinstance(last, Failed)
    assert isinstance(last.error, InternalError)
    assert (last.answer.text, last.receipt, house.issuing.logbook.submitted) == (ANSWER, None, [])


async def test_what_could_not_be_kept_is_not_logged(house: House) -> None:
    with logged():
        last = await last_of(house.assistant(house.engine()).begin(QUESTION, Notebook(house.issuing, broken=True)))
    assert isinstance(last, Failed)
    assert (last.receipt, house.issuing.logbook.submitted) == (None, [])


async def test_an_engine_s_failure_stays_what_it_was_where_no_receipt_could_be_issued(house: House) -> None:
    engine = house.engine(fail_after=1)
    engine.info = replace(engine.info, profile="a new one")
    with logged():
        last = await last_of(house.assistant(engine).begin(QUESTION))
    assert isinstance(last, Failed)
    assert last.error.code == "engine_failed"


async def test_a_bundle_that_withholds_everything_still_verifies(house: House) -> None:
    receipt = await receipt_of(house.assistant(house.engine()).begin(QUESTION))
    bare = replace(receipt, salts={})
    assert verified(bare).statement == receipt.statement
    assert Bundle.from_bytes(bare.bundle().data()).disclosed == {}
