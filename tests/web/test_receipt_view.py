"""What the seal's panel says: of every state a receipt can be in, in both languages, and never more than is known."""

from dataclasses import replace

import pytest

from commun.ledger.policy import Standing
from commun.receipts.seeds import derived_receipt_id
from commun.receipts.statement import ContextUsed, EngineUsed, Scheme, Seed, State, Statement, is_receipt_id
from commun.store.conversations import MessageState
from commun.store.receipts import StoredReceipt
from commun.web.receipt import opened_with
from commun.web.receipt_view import ReceiptView, Recorded, disclosed_of, receipt_view
from commun.web.templating import part
from commun.web.transcript import answer_view, why_unsealed
from made_receipt import made_receipt

THREE = ("North", "South", "West")


def standing(*signed: str, needed: int = 2) -> Standing:
    members = tuple(Standing(name, int(name in signed), 1) for name in THREE)
    return Standing("all", len(signed), needed, members)


def stored(receipt=None, *, kept: bool = True, position: int | None = 1204) -> StoredReceipt:
    made = receipt or made_receipt("turn")
    return StoredReceipt(
        id=made.statement.receipt, entry_sha256="0" * 64, position=position, created=0.0, key=made.key,
        envelope=made.envelope, conversation_id="c1" if kept else None, message_id="m1" if kept else None,
        salts=made.salts if kept else None, values=made.values if kept else None,
    )  # fmt: skip


def view(
    recorded: Recorded | None = None, *, language: str = "en", kept: bool = True, **changes: object
) -> ReceiptView:
    made = made_receipt("turn", **changes)
    found = recorded or Recorded(1204, 2000)
    return receipt_view(
        stored(made, kept=kept), Statement.from_envelope(made.envelope), found, language, model="Small model"
    )


def row(shown: ReceiptView, name: str):
    return next(each for each in shown.rows if each.name == name)


def test_first_it_says_in_plain_words_which_rules_and_which_model() -> None:
    assert view().summary == "Edition 1 of the charter, Small model, exact profile."


def test_every_field_that_a_person_can_use_has_its_row() -> None:
    names = [each.name for each in view().rows]
    assert names == [
        "Answer", "Charter", "Model", "Engine", "More of the engine", "Software", "Settings", "Seed", "Conversation", "Tokens",
        "Sources and tools", "Time", "Ledger", "The charter’s name", "Signed with the key",
        "Receipt",
    ]  # fmt: skip
    assert row(view(), "Charter").url == "/charter/editions/1"
    assert row(view(), "Settings").value == "temperature 0.7, top-p 0.95, at most 1,024 tokens"
    assert row(view(), "Sources and tools").value == "none was used"
    assert row(view(tools=("search",), sources=("wiki",)), "Sources and tools").value == "wiki, search"
    assert row(view(persona="clown"), "Persona").value == "clown"


@pytest.mark.parametrize(
    ("scheme", "said"),
    [
        (Seed(Scheme.CALLER, 5), "chosen by whoever asked"),
        (Seed(Scheme.DRAWN, 5), "drawn by the server; nothing binds it to anything"),
        (
            Seed(Scheme.DERIVED_BEFORE, 5, "ab" * 32, "cd" * 32),
            "derived from a secret whose digest stood in the ledger before",
        ),
        (
            Seed(Scheme.DERIVED_BEFORE, 5, "ab" * 32, "cd" * 32, "00"),
            "derived from a secret whose digest stood in the ledger before, and from what the caller sent",
        ),
    ],
)
def test_how_the_seed_came_about_is_said(scheme: Seed, said: str) -> None:
    shown = row(view(seed=scheme), "Seed")
    assert (shown.value, shown.note) == ("5", said)


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("caller", "drawn by whoever asked: nobody else could choose the seed"),
        ("server", "drawn by the server, because none came with the question: it could have tried several"),
    ],
)
def test_the_nonce_and_who_drew_it_are_said(by: str, said: str) -> None:
    nonce = bytes(range(32))
    seed = Seed(Scheme.DERIVED, 5, "ab" * 32, "cd" * 32, nonce.hex(), by)
    shown = view(seed=seed, receipt=derived_receipt_id(seed.epoch, nonce))
    assert (
        row(shown, "Seed").note == "derived from a secret whose digest stood in the ledger before, and from the nonce"
    )
    assert (row(shown, "Nonce").code, row(shown, "Nonce").note, shown.nonce) == (nonce.hex(), said, nonce.hex())


def test_what_was_left_out_of_the_conversation_is_said() -> None:
    def conversation(kept: int, dropped: int) -> tuple[str, str]:
        shown = row(view(context=ContextUsed("chat", "oldest-turns-first", kept, dropped)), "Conversation")
        return shown.value, shown.note

    assert conversation(1, 0) == ("one message read", "none left out")
    assert conversation(1200, 1) == ("1,200 messages read", "the oldest left out")
    assert conversation(3, 4) == ("3 messages read", "the 4 oldest left out")


def test_a_turn_that_no_engine_had_says_so() -> None:
    shown = view(
        state=State.FAILED, error="engine_failed", finish="cancelled", engine=EngineUsed("", "", "exact"),
    )  # fmt: skip
    assert row(shown, "Engine").value == "no engine had it yet"
    assert (row(shown, "Answer").value, row(shown, "Answer").note) == ("It failed", "error: engine_failed")


def test_the_ledgers_place_is_told_or_waited_for() -> None:
    assert view().ledger == "Entry 1,204 of the ledger."
    new = view(Recorded(None, 2000, waited_s=0.2))
    assert new.ledger == "Waiting: the ledger takes it within a second."
    assert new.waiting
    late = view(Recorded(None, 2000, waited_s=600))
    assert "cannot be written" in late.ledger
    assert not late.waiting


def test_witnesses_are_named_only_when_they_have_confirmed_this_receipt() -> None:
    confirmed = view(Recorded(1204, 2000, standing("North", "West")))
    assert confirmed.witnesses == "Confirmed by 2 of 3 witnesses: North, West."
    few = view(Recorded(1204, 2000, standing("North")))
    assert few.witnesses == "Confirmed by 1 of 3 witnesses so far: fewer than the charter asks for."
    beyond = view(Recorded(2000, 2000, standing("North", "West")))
    assert beyond.witnesses == "The witnesses have not confirmed it yet."
    assert view().witnesses.startswith("This charter asks for no witness")


def test_it_promises_no_more_than_the_file_proves() -> None:
    assert any("witnesses have confirmed" in each for each in view(Recorded(1, 2, standing(*THREE))).proves)
    assert any("its keeper alone" in each for each in view().proves)
    assert any("Nothing about the ledger yet" in each for each in view(Recorded(None)).proves)
    assert any("word for word" in each for each in view().proves)
    assert not any("word for word" in each for each in view(kept=False).proves)
    assert "That what the answer says is true." in view().not_proven


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("panel", [True, False])
@pytest.mark.parametrize("kept", [True, False])
def test_nothing_that_was_written_stands_in_the_panel(language: str, panel: bool, kept: bool) -> None:
    html = part(
        language, "_receipt.html", view=view(language=language, kept=kept), panel=panel, receipt_id="", shareable=False
    )
    assert "Because" not in html
    assert "You answer briefly" not in html
    assert "%(" not in html


def test_a_statements_own_words_are_escaped() -> None:
    html = part("en", "_receipt.html", view=view(persona="<b>x"), panel=True, receipt_id="", shareable=False)
    assert "&lt;b&gt;x" in html


def test_ids_that_are_none_are_none() -> None:
    assert is_receipt_id("ab" * 32)
    assert not any(map(is_receipt_id, ("", "ab" * 31, "AB" * 32, "ab" * 32 + "\n", "../" + "a" * 61)))


@pytest.mark.parametrize(
    ("content", "state", "said"),
    [
        ({"text": "", "receipt": "ab" * 32}, MessageState.COMPLETE, ""),
        ({"text": ""}, MessageState.RUNNING, ""),
        ({"text": "", "completion_tokens": 3}, MessageState.COMPLETE, "older than the receipts"),
        ({"text": "", "completion_tokens": 3}, MessageState.INTERRUPTED, "stopped at once"),
        ({"text": "", "error": "queue_full"}, MessageState.FAILED, "no model was asked"),
        ({"text": "", "error": "x", "completion_tokens": 3}, MessageState.FAILED, "failed before one was signed"),
    ],
)
def test_an_answer_without_a_receipt_says_why(content: dict[str, object], state: MessageState, said: str) -> None:
    assert said in why_unsealed(content, state, "en")
    html = part("en", "_seal.html", message=answer_view("m", content, state, "en"))
    assert ("/receipt/" in html) == ("receipt" in content)
    assert said in html


def test_what_a_page_holds_is_put_into_the_bundle_and_verified_first() -> None:
    import json

    from commun.errors import BadRequest

    made = made_receipt("turn")
    bare = replace(made.bundle(), disclosed={})
    disclosed = disclosed_of(made)
    assert opened_with(bare, json.dumps(disclosed)).disclosed == made.bundle().disclosed
    other = disclosed_of(made_receipt("turn"))  # other salts
    for wrong in (
        "",
        "[]",
        "{}",
        json.dumps({**disclosed, "answer_text": other["answer_text"], "x": None}),
        "{" * 9999,
    ):
        with pytest.raises(BadRequest):
            opened_with(bare, wrong)
    with pytest.raises(BadRequest):
        opened_with(bare, json.dumps({**disclosed, "answer_text": {**disclosed["answer_text"], "value": "Other."}}))


def test_a_statement_is_read_from_its_envelope() -> None:
    assert isinstance(Statement.from_envelope(made_receipt("turn").envelope), Statement)


def test_a_receipt_of_a_ledger_that_was_begun_anew_is_not_said_to_be_in_this_one() -> None:
    found = view(Recorded(None, elsewhere="commun.local/0123456789abcdef"))
    assert "commun.local/0123456789abcdef" in found.ledger
    assert (found.ledger_url, found.witnesses, found.waiting) == ("", "", False)
    assert not any("is in the ledger" in each for each in found.proves)


def test_what_the_engine_said_of_itself_is_there_with_the_processor_and_its_class_first() -> None:
    notes = {"threads": "2", "processor": "A <processor>", "processor_class": "x86-64 AVX-512", "openvino": "2026.4"}
    shown = view(engine=EngineUsed("openvino-genai", "2026.4", "exact", notes))
    processor = row(shown, "Processor")
    assert (processor.value, processor.note) == (
        "A <processor>",
        "class x86-64 AVX-512: by this audits compare processors",
    )
    assert row(shown, "More of the engine").value == "openvino: 2026.4; threads: 2"
    page = part("en", "_receipt.html", view=shown, panel=True, receipt_id=shown.id, shareable=False)
    assert "A &lt;processor&gt;" in page
    bare = view(engine=EngineUsed("openvino-genai", "2026.4", "exact"))
    assert not {"Processor", "More of the engine"} & {each.name for each in bare.rows}
