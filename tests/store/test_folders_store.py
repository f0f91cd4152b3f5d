"""Folders and instructions as they are stored: sealed, their owner's alone, gone with what they belong to."""

from dataclasses import replace

import pytest
from sqlalchemy import insert, select, update

from commun.errors import NotFound, VaultLocked
from commun.store import folders as module
from commun.store.folders import MAX_INSTRUCTIONS, Folders, InstructionsTooLong, TooManyFolders
from commun.store.instructions import Instructions
from commun.store.schema import conversations, folders, vaults
from commun.store.vault import VaultError

pytestmark = pytest.mark.anyio


@pytest.fixture
def kept(store) -> Folders:
    return Folders(store.database, now=store.clock)


@pytest.fixture
def instructions(store) -> Instructions:
    return Instructions(store.database)


async def folder_of(store, viewer, conversation_id: str) -> str | None:
    return (await store.conversations.get(viewer, conversation_id)).folder_id


async def test_a_folder_is_its_owners_alone(store, kept) -> None:
    ann, bob = await store.founder(), await store.somebody_else()
    folder = await kept.add(ann, "Mine")
    theirs = (await store.chat(bob)).conversation_id
    mine = (await store.chat(ann)).conversation_id
    assert await kept.list(bob) == []
    for attempt in (
        kept.get(bob, folder),
        kept.change(bob, folder, name="x", instructions=""),
        kept.delete(bob, folder, conversations_too=True),
        kept.move(bob, theirs, folder),
        kept.move(ann, theirs, folder),
        kept.move_to_new(ann, theirs, "x"),
        store.conversations.start_turn(
            bob, conversation_id=None, parent_id=None, question="q", title="t", folder_id=folder
        ),
    ):
        with pytest.raises(NotFound):
            await attempt
    await kept.move(ann, mine, folder)
    assert [(each.name, each.conversations) for each in await kept.list(ann)] == [("Mine", 1)]
    assert await folder_of(store, bob, theirs) is None


async def test_names_are_in_order_of_their_letters_and_conversations_are_counted(store, kept) -> None:
    viewer = await store.founder()
    ids = {name: await kept.add(viewer, name) for name in ("zèbre", "École", "étude", "Avion")}
    for _ in range(2):
        await kept.move(viewer, (await store.chat(viewer)).conversation_id, ids["École"])
    found = await kept.list(viewer)
    assert [each.name for each in found] == ["Avion", "École", "étude", "zèbre"]
    assert [each.conversations for each in found] == [0, 2, 0, 0]
    inside = await store.conversations.list(viewer, folder_id=ids["École"])
    assert {each.folder_id for each in inside} == {ids["École"]}
    assert len(await store.conversations.list(viewer, limit=1, after=1)) == 1


@pytest.mark.parametrize("too", [False, True])
async def test_what_lies_in_a_folder_that_goes_stays_or_goes_with_it_and_comes_back_in_none(store, kept, too) -> None:
    viewer = await store.founder()
    folder = await kept.add(viewer, "Going")
    inside, deleted, outside = [(await store.chat(viewer)).conversation_id for _ in range(3)]
    for conversation_id in (inside, deleted):
        await kept.move(viewer, conversation_id, folder)
    await store.conversations.delete(viewer, deleted)
    await kept.delete(viewer, folder, conversations_too=too)
    listed = {each.id for each in await store.conversations.list(viewer)}
    assert listed == ({outside} if too else {inside, outside})
    await store.conversations.restore(viewer, deleted)
    if too:
        await store.conversations.restore(viewer, inside)
    assert [await folder_of(store, viewer, each) for each in (inside, deleted)] == [None, None]


async def test_nothing_of_it_is_in_clear_and_nothing_opens_in_another_place(store, kept, instructions) -> None:
    viewer = await store.founder()
    await instructions.set(viewer, "canary of mine", used=True)
    one, other = [await kept.add(viewer, "canary name") for _ in range(2)]
    for folder in (one, other):
        await kept.change(viewer, folder, name=f"canary {folder}", instructions="canary of a folder")
    await store.database.forget()
    assert b"canary" not in b"".join(path.read_bytes() for path in store.home.rglob("*.db*"))

    def swap(connection) -> None:
        moved = select(folders.c.name).where(folders.c.id == one).scalar_subquery()
        connection.execute(update(folders).where(folders.c.id == other).values(name=moved))

    await store.database.write(swap)
    with pytest.raises(VaultError):
        await kept.list(viewer)


async def test_instructions_are_kept_when_off_told_when_on_and_the_folders_come_second(
    store, kept, instructions
) -> None:
    viewer = await store.founder()
    assert (await instructions.get(viewer)).text == ""
    assert await instructions.told(viewer) == ()
    await instructions.set(viewer, " Be brief.\r\nPlease. ", used=True)
    folder = await kept.add(viewer, "Rhymes")
    await kept.change(viewer, folder, name="Rhymes", instructions="In rhymes.")
    conversation = (await store.chat(viewer)).conversation_id
    assert await instructions.told(viewer, conversation_id=conversation) == ("Be brief.\nPlease.",)
    assert await instructions.told(viewer, folder_id=folder) == ("Be brief.\nPlease.", "In rhymes.")
    await kept.move(viewer, conversation, folder)
    assert await instructions.told(viewer, conversation_id=conversation) == ("Be brief.\nPlease.", "In rhymes.")
    await instructions.set(viewer, "Be brief.", used=False)
    assert await instructions.told(viewer, conversation_id=conversation) == ("In rhymes.",)
    assert (await instructions.get(viewer)).text == "Be brief."
    await kept.change(viewer, folder, name="Rhymes", instructions=" ")
    assert await instructions.told(viewer, conversation_id=conversation) == ()

    stranger = await store.somebody_else()
    await kept.change(viewer, folder, name="Rhymes", instructions="In rhymes.")
    assert await instructions.told(stranger, conversation_id=conversation) == ()
    assert await instructions.told(stranger, folder_id=folder) == ()


async def test_bounds_hold(store, kept, instructions, monkeypatch) -> None:
    viewer = await store.founder()
    await instructions.set(viewer, "é" * MAX_INSTRUCTIONS, used=True)
    folder = await kept.add(viewer, "n" * 500)
    assert (await kept.get(viewer, folder)).name == "n" * module.MAX_NAME
    for attempt in (
        instructions.set(viewer, "é" * (MAX_INSTRUCTIONS + 1), used=True),
        kept.change(viewer, folder, name="x", instructions="é" * (MAX_INSTRUCTIONS + 1)),
    ):
        with pytest.raises(InstructionsTooLong):
            await attempt
    monkeypatch.setattr(module, "MAX_FOLDERS", 1)
    with pytest.raises(TooManyFolders):
        await kept.add(viewer, "One more")


async def test_a_locked_vault_opens_neither(store, kept, instructions) -> None:
    viewer = await store.founder()
    locked = replace(viewer, key=None)
    for attempt in (
        kept.list(locked),
        kept.add(locked, "x"),
        instructions.get(locked),
        instructions.set(locked, "x", used=True),
        instructions.told(locked),
    ):
        with pytest.raises(VaultLocked):
            await attempt


async def test_whoever_starts_over_begins_without_folders_and_instructions(
    store, kept, instructions, monkeypatch
) -> None:
    signed_in = await store.sign_in()
    await instructions.set(signed_in.viewer, "Be brief.", used=True)
    await kept.add(signed_in.viewer, "Before")
    anew = (await store.ways_in.start_over(signed_in.token, signed_in.viewer)).viewer
    assert await kept.list(anew) == []
    assert (await instructions.get(anew)).text == ""
    assert await instructions.told(anew) == ()

    def left(connection) -> tuple[int, int]:
        return (
            len(connection.execute(select(folders.c.id)).all()),
            len(connection.execute(select(vaults.c.id).where(vaults.c.instructions.is_not(None))).all()),
        )

    assert await store.database.read(left) == (0, 0), "nobody can open them"
    older = {
        "id": "older",
        "account_id": anew.account_id,
        "vault_id": signed_in.viewer.vault_id,
        "name": b"",
        "created": 1,
    }
    await store.database.write(lambda connection: connection.execute(insert(folders), older))
    monkeypatch.setattr("commun.store.folders.MAX_FOLDERS", 1)
    await kept.add(anew, "After")
    assert (await store.database.read(lambda connection: connection.execute(select(conversations)).all())) == []
