"""What the database knows of the ledger: one ledger at a time, and never more than was learnt whole."""

import hashlib

import pytest

from commun.ledger.entries import EditionStatement, EpochStatement
from commun.store.epochs import StoredEpoch
from commun.store.ledger_entries import Learnt, LedgerEntries, StoredEntry
from commun.store.receipts import Receipts
from made_receipt import made_receipt

ROOT = b"r" * 32
TIME = "2026-11-22T06:00:00Z"


@pytest.fixture
def entries(store):
    return LedgerEntries(store.database)


def stored(position, statement):
    return StoredEntry(position, statement.type, statement.data())


FIRST = stored(0, EditionStatement(1, "ab" * 32, "adopted", TIME))
FROZEN = stored(1, EditionStatement(1, "ab" * 32, "frozen", TIME))
EPOCH = stored(2, EpochStatement("cd" * 32))


def test_what_was_learnt_is_found_again(entries, store, run):
    async def scenario():
        receipt = made_receipt("one")
        await Receipts(store.database).keep(receipt)
        assert await entries.find_known("key") is None
        assert await entries.last_position() is None
        await entries.begin("key", root=b"e" * 32, now=1.0)
        await entries.learn("key", Learnt(4, ROOT, (FIRST, FROZEN, EPOCH), ((receipt.statement.receipt, 3),)))
        known = await entries.find_known("key")
        assert (known.size, known.root, known.witnessed) == (4, ROOT, None)
        assert await entries.find_edition(1) == FIRST
        assert await entries.find_edition(1, "frozen") == FROZEN
        assert await entries.find_edition(2) is None
        assert await entries.of_kind(EpochStatement.type) == [EPOCH]
        assert await entries.last_position() == 3
        assert await entries.newest(2) == [EPOCH, FROZEN]
        assert await entries.newest(5, below=1) == [FIRST]
        assert await Receipts(store.database).find_position(hashlib.sha256(receipt.envelope).hexdigest()) == 3

    run(scenario())


def test_a_size_never_shrinks_and_an_entry_learnt_twice_is_one(entries, run):
    async def scenario():
        await entries.begin("key", root=ROOT, now=1.0)
        await entries.learn("key", Learnt(4, ROOT, (FIRST,)))
        await entries.learn("key", Learnt(2, b"o" * 32, (FIRST,)))
        known = await entries.find_known("key")
        assert (known.size, known.root) == (4, ROOT)
        await entries.add(FIRST.position, FIRST.kind, FIRST.entry)
        assert await entries.of_kind(EditionStatement.type) == [FIRST]

    run(scenario())


def test_another_ledger_forgets_the_one_before_it(entries, store, run):
    async def scenario():
        receipts, receipt = Receipts(store.database), made_receipt("one")
        await receipts.keep(receipt)
        await entries.begin("key", root=ROOT, now=1.0)
        await entries.learn("key", Learnt(4, ROOT, (FIRST,), ((receipt.statement.receipt, 3),)))
        await entries.epochs.add(StoredEpoch("ab" * 32, b"secret", 1.0, 2))
        await entries.begin("other", root=ROOT, now=1.0)
        assert await entries.find_known("key") is None
        assert (await entries.find_known("other")).size == 0
        assert {(one.key, one.size, one.replaced) for one in await entries.all_known()} == {
            ("key", 4, True),
            ("other", 0, False),
        }
        assert await entries.last_position() is None
        assert len(await receipts.unlogged(10)) == 1
        assert await entries.epochs.find_open() is None

    run(scenario())


def test_a_witnessed_head_is_kept(entries, run):
    async def scenario():
        await entries.begin("key", root=ROOT, now=1.0)
        await entries.keep_witnessed("key", b"a signed head")
        assert (await entries.find_known("key")).witnessed == b"a signed head"

    run(scenario())


def test_one_secret_is_open_and_only_once_the_ledger_has_it(entries, run):
    async def scenario():
        epochs = entries.epochs
        for name, opened in (("aa", 1.0), ("bb", 2.0)):
            await epochs.add(StoredEpoch(name * 32, name.encode(), opened, None))
        assert await epochs.find_open() is None
        await epochs.place("aa" * 32, 5, now=1.5)
        assert (await epochs.find_open()).position == 5
        await epochs.add(StoredEpoch("cc" * 32, b"cc", 3.0, None))
        await epochs.place("cc" * 32, 9, now=3.5)
        assert (await epochs.find_open()).sha256 == "cc" * 32

    run(scenario())
