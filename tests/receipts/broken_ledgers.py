"""The ledger: step 7."""

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import world
from broken_case import Broken
from broken_charters import with_charter
from commun.ledger.keys import to_base64
from commun.receipts.bundle import Bundle, Logged, LoggedEntry
from commun.receipts.errors import Reason
from golden import PINNED


def _proof(made: Broken) -> None:
    whole = world.bundle()
    proof = whole.ledger.receipt or ""
    lines = proof.split("\n")
    form, absent, unsigned = Reason.PROOF_FORM, Reason.NOT_IN_LEDGER, Reason.CHECKPOINT_UNSIGNED

    def text(name: str, why: Reason, about: str, changed: str) -> None:
        made.add(name, why, about, world.bundle(ledger=replace(whole.ledger, receipt=changed)))

    ledger, _, _ = world.ledger_with(world.signed().entry)
    edition = whole.ledger.edition.proof if whole.ledger.edition else ""
    text("truncated-proof", absent, "one hash fewer", "\n".join([*lines[:2], *lines[3:]]))
    text("proof-cut-off", form, "the file of the proof ends in its middle", proof[: len(proof) // 2])
    text("proof-with-a-hash-too-many", absent, "one hash more", "\n".join([*lines[:3], lines[2], *lines[3:]]))
    text("proof-with-a-short-hash", form, "31 bytes", "\n".join([*lines[:2], to_base64(bytes(31)), *lines[3:]]))
    text("proof-of-another-entry", absent, "of the entry beside it", ledger.proof(8))
    text("proof-under-another-index", absent, "the right hashes, another place", proof.replace("index 9", "index 8"))
    text("proof-with-a-leading-zero", form, "a number has one writing", proof.replace("index 9", "index 09"))
    text("proof-of-the-edition-instead", absent, "another entry of the same ledger", edition)
    text("proof-without-a-checkpoint", form, "the hashes alone", proof.split("\n\n")[0] + "\n\n")
    text("proof-empty", form, "an empty text is neither a proof nor pending", "")
    head = proof.split("\n\n", 1)[1]
    text(
        "checkpoint-edited",
        unsigned,
        "a size that nobody signed",
        proof.replace(head.split("\n")[1] + "\n" + head.split("\n")[2], "12\n" + head.split("\n")[2]),
    )
    text("root-edited", unsigned, "a root that nobody signed", proof.replace(head.split("\n")[2], to_base64(bytes(32))))


def _ledger(made: Broken) -> None:
    receipt = world.signed()
    unsigned, few = Reason.CHECKPOINT_UNSIGNED, Reason.TOO_FEW_WITNESSES
    whole = world.bundle()

    def changed(name: str, why: Reason, about: str, **fields: Any) -> None:
        made.add(name, why, about, world.bundle(ledger=world.logged(receipt.entry, **fields)))

    def proven(entry: bytes, proof: str) -> Bundle:
        return world.bundle(ledger=replace(whole.ledger, edition=LoggedEntry(entry, proof)))

    at = world.CONFIRMED
    changed("missing-cosignature", few, "one witness, where the policy asks for two", cosigners={"north": at})
    changed("no-cosignature", few, "the ledger's own signature alone", cosigners={})
    changed(
        "cosigned-without-a-time",
        few,
        "a witness's line of type 0x04 with time 0, which states nothing about when",
        cosigners={"north": at, "south": 0},
    )
    changed(
        "confirmed-before-it-ended",
        Reason.LEDGER_TIME,
        "a witness saw it an hour before it was",
        cosigners={"north": at, "south": at - 3600},
    )
    changed(
        "of-another-ledger",
        Reason.OTHER_LEDGER,
        "another origin than the receipt names",
        origin="other.example.org/log",
        log=world.OTHER_LOG,
    )
    impostor = world.SignerKey(world.ORIGIN, world.ED25519, world.seed_of("impostor"))
    changed("checkpoint-signed-by-an-impostor", unsigned, "the log's name over another key", log=impostor)
    made.add(
        "policy-of-other-ledgers",
        unsigned,
        "the reader's policy does not name this ledger",
        whole,
        replace(PINNED, policy=world.policy_of(world.OTHER_LOG).encode()),
    )
    strangers = world.policy_of(needed="all", names=("west",)).encode()
    made.add(
        "cosigned-by-strangers",
        few,
        "two witnesses, neither of them the reader's",
        whole,
        replace(PINNED, policy=strangers),
    )
    made.add(
        "policy-cut-off",
        Reason.BAD_POLICY,
        "the reader's policy ends in the middle of a line",
        whole,
        replace(PINNED, policy=world.policy_of().encode()[:-3]),
    )
    forged = whole.ledger.receipt or ""
    line = next(one for one in forged.split("\n") if one.startswith("— south"))
    name, value = line.rsplit(" ", 1)
    spoilt = bytearray(base64.b64decode(value))
    spoilt[-1] ^= 1
    made.add(
        "forged-cosignature",
        unsigned,
        "a line in a witness's name that it did not sign",
        world.bundle(ledger=replace(whole.ledger, receipt=forged.replace(line, f"{name} {to_base64(bytes(spoilt))}"))),
    )
    hinted = world.adopt(
        world.charter_files(world.NEW_BOARD, policy=""),
        world.first(),
        ("Ada", "Benoît"),
        root_signers=("Ada", "Benoît", "Dara"),
    )
    bundle = with_charter(hinted)
    made.add(
        "no-key-of-the-ledger",
        unsigned,
        "no policy names one, and the bundle's hint is none",
        replace(bundle, ledger=replace(bundle.ledger, key="ledger", edition=None)),
    )
    made.add(
        "cosigned-without-a-time-by-ml-dsa",
        few,
        "a witness's line of type 0x06 with time 0, which does not even state that it saw no larger tree",
        world.bundle(ledger=world.logged(receipt.entry, cosigners={"north": at, "west": 0})),
        replace(PINNED, policy=world.policy_of(names=("north", "west")).encode()),
    )
    _editions(made, receipt.entry, proven)


def _editions(made: Broken, entry: bytes, proven: Callable[[bytes, str], Bundle]) -> None:
    reason = Reason.EDITION_NOT_IN_LEDGER
    ledger, _, at = world.ledger_with(entry)
    first, second = world.adoption(world.first()), world.adoption(world.second())
    made.add(
        "edition-not-in-the-ledger",
        reason,
        "an entry that is not where its proof says",
        proven(second, ledger.proof(4)),
    )
    made.add("another-edition-in-the-ledger", reason, "the first edition's adoption", proven(first, ledger.proof(0)))
    frozen = world.adoption(world.second(), event="frozen")
    later = world.Ledger([*ledger.entries[:at], frozen, *ledger.entries[at + 1 :]])
    made.add(
        "edition-frozen-not-adopted",
        reason,
        "an entry of the right edition that says frozen",
        world.bundle(ledger=Logged(world.LOG.verifier.text(), later.proof(9), LoggedEntry(frozen, later.proof(at)))),
    )
    made.add(
        "edition-entry-not-canonical",
        reason,
        "a space in the entry",
        proven(second.replace(b":", b": ", 1), ledger.proof(at)),
    )
    made.add("edition-entry-of-another-type", reason, "a receipt's entry", proven(ledger.entries[4], ledger.proof(4)))
    after = world.Ledger([*ledger.entries[:at], ledger.entries[-1], *ledger.entries[at + 1 : -1], second])
    made.add(
        "edition-logged-after-the-receipt",
        reason,
        "it answered before it was adopted",
        world.bundle(ledger=Logged(world.LOG.verifier.text(), after.proof(9), LoggedEntry(second, after.proof(10)))),
    )
    fork = world.Ledger([*ledger.entries[:-1], world.other_receipt(99)])
    made.add(
        "fork",
        Reason.FORK,
        "two roots for one size, both signed by the log and its witnesses",
        proven(second, fork.proof(at)),
    )
    grown = world.Ledger([*ledger.entries, world.other_receipt(99)])
    made.add(
        "two-checkpoints",
        Reason.PROOF_FORM,
        "the two proofs lead to heads of different sizes",
        proven(second, grown.proof(at)),
    )


STEPS = (_proof, _ledger)
