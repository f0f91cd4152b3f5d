"""Passwords, passphrases and recovery codes as ways into an account: added, used, changed, taken away."""

import asyncio
import statistics
import time

import pytest
from sqlalchemy import select, update

from commun.errors import LinkExpired, NotFound, NotSignedIn, VaultLocked
from commun.store import passwords
from commun.store.names import NameNotUsable, NameTaken
from commun.store.passwords import Cost, Hasher, Parameters, PasswordTooCommon, PasswordTooShort, derive
from commun.store.people import Kind, Role
from commun.store.recovery import RecoveryCodeMistyped, RecoveryCodeWrong
from commun.store.schema import accounts as accounts_table
from commun.store.schema import conversations as conversations_table
from commun.store.schema import unlocks
from commun.store.ways_in import CodeSignInFailed, LastWayIn, NameNeeded, PasswordWrong, SignInFailed, WaysIn
from opened_store import PASSWORD

OTHER = "seven quiet lamps in a row"


def disable(store, account_id):
    change = update(accounts_table).where(accounts_table.c.id == account_id).values(disabled=1.0)
    return store.accounts.change(lambda connection: connection.execute(change))


def test_a_password_opens_the_vault_on_a_second_device(store, run):
    async def scenario():
        first = await store.invited("Claire")
        turn = await store.chat(first.viewer, "Where?", "Here.")
        second = await store.ways_in.sign_in("claire", PASSWORD)
        assert second.token != first.token
        assert second.viewer.key is not None
        read = await store.conversations.get(second.viewer, turn.conversation_id)
        assert [one.content["text"] for one in read.path()] == ["Where?", "Here."]

    run(scenario())


def test_names_are_the_same_whatever_their_capitals_and_spaces(store, run):
    async def scenario():
        await store.invited("Éloïse  d’Arc")
        signed_in = await store.ways_in.sign_in(" éLOÏSE d’ARC ", PASSWORD)
        assert signed_in.viewer.name == "Éloïse d’Arc"
        with pytest.raises(NameTaken):
            await store.invited("ÉLOÏSE D’ARC")
        for unusable in ("", "x", "-dash", "a" * 41, "<b>bold</b>", "a\x00b"):
            with pytest.raises(NameNotUsable):
                await store.invited(unusable)

    run(scenario())


def test_nobody_learns_which_names_there_are(store, run, monkeypatch):
    """Neither from what is told nor from how long it takes: one derivation each, at one cost."""
    work = []

    def derived(password, parameters):
        work.append(parameters.cost)
        return derive(password, parameters)

    async def scenario():
        await store.invited("Claire")
        gone = await store.invited("Denis")
        await disable(store, gone.viewer.account_id)
        founder = await store.founder()
        await store.accounts.set_name(founder, "Nameless")
        monkeypatch.setattr(passwords, "derive", derived)
        told = set()
        for name, password in (
            ("Claire", OTHER),
            ("nobody at all", OTHER),
            ("Denis", PASSWORD),
            ("Nameless", PASSWORD),
            ("", ""),
            ("x" * 100_000, "y" * 100_000),
        ):
            with pytest.raises(SignInFailed) as failed:
                await store.ways_in.sign_in(name, password)
            told.add((failed.value.text(), failed.value.status, failed.value.code))
        assert len(told) == 1
        assert len(work) == 6
        assert len(set(work)) == 1

    run(scenario())


def test_a_name_that_nobody_has_costs_the_time_of_one_that_somebody_has(store, run):
    """With the real cost, in the processor's time: a look into a table cannot be seen against it."""
    ways = WaysIn(store.accounts, Hasher())

    async def seconds(name):
        began = time.process_time()
        with pytest.raises(SignInFailed):
            await ways.sign_in(name, OTHER)
        return time.process_time() - began

    async def scenario():
        first = await store.invited("Claire")
        await ways.set_password(first.token, first.viewer, PASSWORD, present=PASSWORD)
        known, unknown = [], []
        for _ in range(7):
            known.append(await seconds("Claire"))
            unknown.append(await seconds("nobody"))
        assert min(*known, *unknown) > 0.02
        assert 0.8 < statistics.median(known) / statistics.median(unknown) < 1.25

    run(scenario())


def test_changing_the_password_wraps_the_key_again_and_nothing_else(store, run):
    async def scenario():
        first = await store.invited("Claire")
        turn = await store.chat(first.viewer)
        sealed = select(conversations_table.c.sealed_key, conversations_table.c.title)
        before = await store.database.read(lambda c: c.execute(sealed).all())
        elsewhere = await store.ways_in.sign_in("Claire", PASSWORD)
        with pytest.raises(PasswordWrong):
            await store.ways_in.set_password(first.token, first.viewer, OTHER, present="not the present one")
        changed = await store.ways_in.set_password(first.token, first.viewer, OTHER, present=PASSWORD)
        assert await store.database.read(lambda c: c.execute(sealed).all()) == before
        assert changed.viewer.session_id == first.viewer.session_id
        assert await store.accounts.viewer(first.token) is None  # a token that was copied before is worth nothing
        assert await store.accounts.viewer(elsewhere.token) is None
        assert await store.conversations.get(changed.viewer, turn.conversation_id)
        with pytest.raises(SignInFailed):
            await store.ways_in.sign_in("Claire", PASSWORD)
        assert (await store.ways_in.sign_in("Claire", OTHER)).viewer.key is not None

    run(scenario())


def test_a_password_is_changed_once_by_two_who_change_it_at_once(store, run):
    async def scenario():
        first = await store.invited("Claire")
        second = await store.ways_in.sign_in("Claire", PASSWORD)
        tried = await asyncio.gather(
            *(store.ways_in.set_password(one.token, one.viewer, OTHER, present=PASSWORD) for one in (first, second)),
            return_exceptions=True,
        )
        assert sum(isinstance(one, PasswordWrong | NotSignedIn) for one in tried) == 1

    run(scenario())


def test_the_founder_chooses_a_name_and_a_password(store, run):
    async def scenario():
        first = await store.sign_in()
        assert (first.viewer.role, first.viewer.name) == (Role.ADMINISTRATOR, "")
        with pytest.raises(NameNeeded):
            await store.ways_in.set_password(first.token, first.viewer, PASSWORD)
        with pytest.raises(PasswordTooShort):
            await store.ways_in.set_password(first.token, first.viewer, "short", name="Ada")
        with pytest.raises(PasswordTooCommon):
            await store.ways_in.set_password(first.token, first.viewer, "Ada-Lovelace-123456", name="Ada Lovelace")
        changed = await store.ways_in.set_password(first.token, first.viewer, PASSWORD, name="Ada")
        assert changed.viewer.name == "Ada"
        assert (await store.ways_in.sign_in("ada", PASSWORD)).viewer.account_id == first.viewer.account_id
        assert (await store.sign_in()).viewer.account_id == first.viewer.account_id  # the link goes on opening it

    run(scenario())


def test_a_locked_vault_takes_no_new_way_in(store, run):
    async def scenario():
        await store.chat((await store.sign_in()).viewer)
        locked = await store.sign_in()
        assert locked.viewer.key is None
        for adding in (
            store.ways_in.set_password(locked.token, locked.viewer, PASSWORD, name="Ada"),
            store.ways_in.set_passphrase(locked.viewer, PASSWORD),
            store.ways_in.make_recovery_code(locked.viewer),
        ):
            with pytest.raises(VaultLocked):
                await adding

    run(scenario())


def test_a_password_made_at_less_cost_is_brought_up_when_it_is_used(store, run):
    async def stored():
        found = await store.database.read(lambda c: c.execute(select(unlocks)).all())
        return [row for row in found if row.kind == "password"]

    async def scenario():
        await store.invited("Claire")
        [before] = await stored()
        dearer = WaysIn(store.accounts, Hasher(Cost(time=2, memory=128)))
        assert (await dearer.sign_in("Claire", PASSWORD)).viewer.key is not None
        [after] = await stored()
        assert '"memory": 128' in after.parameters
        assert after.verifier != before.verifier
        assert (after.id, after.created) == (before.id, before.created)
        assert (await dearer.sign_in("Claire", PASSWORD)).viewer.key is not None
        assert (await stored()) == [after]

    run(scenario())


def test_a_recovery_code_signs_in_who_lost_the_password(store, run):
    async def scenario():
        first = await store.invited("Claire")
        code = await store.ways_in.make_recovery_code(first.viewer)
        again = await store.ways_in.sign_in_with_code("CLAIRE", code.lower().replace("-", " "))
        assert again.viewer.key is not None
        other = await store.ways_in.make_recovery_code((await store.invited("Denis")).viewer)
        for name, wrong in (("Claire", other), ("nobody", code), ("Denis", code)):
            with pytest.raises(CodeSignInFailed):
                await store.ways_in.sign_in_with_code(name, wrong)
        with pytest.raises(RecoveryCodeMistyped):
            await store.ways_in.sign_in_with_code("Claire", code[:-1])
        await disable(store, first.viewer.account_id)
        with pytest.raises(CodeSignInFailed):
            await store.ways_in.sign_in_with_code("Claire", code)

    run(scenario())


def test_a_recovery_code_is_tried_at_once(store, run):
    async def scenario():
        first = await store.invited("Claire")
        code = await store.ways_in.make_recovery_code(first.viewer)

        async def used():
            return [way.last_used for way in await store.ways_in.list(first.viewer) if way.kind is Kind.RECOVERY]

        assert await used() == [None]
        with pytest.raises(RecoveryCodeMistyped):
            await store.ways_in.try_recovery_code(first.viewer, "0000")
        other = await store.ways_in.make_recovery_code((await store.invited("Denis")).viewer)
        with pytest.raises(RecoveryCodeWrong):
            await store.ways_in.try_recovery_code(first.viewer, other)
        assert await used() == [None]
        await store.ways_in.try_recovery_code(first.viewer, code)
        assert await used() != [None]

    run(scenario())


def test_a_passphrase_opens_and_does_not_sign_in(store, run):
    async def scenario():
        first = await store.sign_in()
        turn = await store.chat(first.viewer)
        await store.ways_in.set_passphrase(first.viewer, OTHER)
        other = await store.sign_in()
        assert other.viewer.key is None
        with pytest.raises(PasswordWrong):
            await store.ways_in.unlock_with_words(other.token, other.viewer, PASSWORD)
        opened = await store.ways_in.unlock_with_words(other.token, other.viewer, OTHER)
        assert await store.conversations.get(opened.viewer, turn.conversation_id)
        assert await store.accounts.viewer(other.token) is None
        [way] = await store.ways_in.list(opened.viewer)
        assert (way.kind, way.opens, way.signs_in) == (Kind.PASSPHRASE, True, False)

    run(scenario())


def test_the_last_way_in_is_taken_away_only_by_who_was_told(store, run):
    async def scenario():
        first = await store.invited("Claire")
        await store.ways_in.set_passphrase(first.viewer, OTHER)
        password, passphrase = await store.ways_in.list(first.viewer)
        with pytest.raises(LastWayIn):
            await store.ways_in.remove(first.viewer, password.id)
        await store.ways_in.make_recovery_code(first.viewer)
        await store.ways_in.remove(first.viewer, password.id)
        await store.ways_in.remove(first.viewer, passphrase.id)
        [code] = await store.ways_in.list(first.viewer)
        with pytest.raises(LastWayIn):
            await store.ways_in.remove(first.viewer, code.id)
        await store.ways_in.remove(first.viewer, code.id, though_last=True)
        assert await store.ways_in.list(first.viewer) == []
        with pytest.raises(SignInFailed):
            await store.ways_in.sign_in("Claire", PASSWORD)

    run(scenario())


def test_ways_in_are_their_owners_alone(store, run):
    async def scenario():
        claire, denis = await store.invited("Claire"), await store.invited("Denis")
        [theirs] = await store.ways_in.list(claire.viewer)
        with pytest.raises(NotFound):
            await store.ways_in.remove(denis.viewer, theirs.id, though_last=True)
        with pytest.raises(NotSignedIn):
            await store.ways_in.set_password(denis.token, claire.viewer, OTHER, present=PASSWORD)
        assert [way.id for way in await store.ways_in.list(claire.viewer)] == [theirs.id]

    run(scenario())


def test_a_way_in_that_was_moved_to_another_row_opens_nothing(store, run):
    """Somebody who can write to the database puts Claire's wrapped key behind his own password."""

    async def scenario():
        claire, denis = await store.invited("Claire"), await store.invited("Denis")
        [theirs], [mine] = await store.ways_in.list(claire.viewer), await store.ways_in.list(denis.viewer)

        def swap(connection):
            stored = connection.execute(select(unlocks).where(unlocks.c.id == mine.id)).one()
            values = {"parameters": stored.parameters, "verifier": stored.verifier, "wrapped_key": stored.wrapped_key}
            connection.execute(update(unlocks).where(unlocks.c.id == theirs.id).values(values))

        await store.accounts.change(swap)
        broken_into = await store.ways_in.sign_in("Claire", PASSWORD)
        assert broken_into.viewer.key is None

    run(scenario())


def test_signing_in_again_ends_the_browsers_former_session(store, run):
    async def scenario():
        first = await store.invited("Claire")
        again = await store.ways_in.sign_in("Claire", PASSWORD, session=first.token)
        assert await store.accounts.viewer(first.token) is None
        assert len(await store.accounts.sessions(again.viewer)) == 1
        planted = await store.ways_in.sign_in("Claire", PASSWORD, session="a token that somebody planted")
        assert planted.token != "a token that somebody planted"
        assert await store.accounts.viewer("a token that somebody planted") is None

    run(scenario())


def test_everywhere_else_is_signed_out_at_once(store, run):
    async def scenario():
        first = await store.invited("Claire")
        others = [await store.ways_in.sign_in("Claire", PASSWORD) for _ in range(3)]
        stranger = await store.invited("Denis")
        assert await store.accounts.revoke_others(first.viewer) == 3
        assert [await store.accounts.viewer(one.token) for one in others] == [None] * 3
        assert await store.accounts.viewer(first.token) is not None
        assert await store.accounts.viewer(stranger.token) is not None

    run(scenario())


def test_after_starting_over_the_password_signs_in_and_can_be_set_for_the_new_vault(store, run):
    async def scenario():
        first = await store.invited("Claire")
        await store.chat(first.viewer)
        await store.ways_in.make_recovery_code(first.viewer)
        fresh = await store.ways_in.start_over(first.token, first.viewer)
        await store.chat(fresh.viewer)
        [way] = await store.ways_in.list(fresh.viewer)
        assert (way.kind, way.opens) == (Kind.PASSWORD, False)
        again = await store.ways_in.sign_in("Claire", PASSWORD)
        assert again.viewer.key is None
        await store.ways_in.set_password(fresh.token, fresh.viewer, OTHER, present=PASSWORD)
        assert (await store.ways_in.sign_in("Claire", OTHER)).viewer.key is not None

    run(scenario())


def test_a_disabled_account_is_nobodys_at_once(store, run):
    async def scenario():
        first = await store.invited("Claire")
        key = await store.accounts.make_api_key(first.viewer.account_id, "laptop")
        assert await store.accounts.caller(key) is not None
        await disable(store, first.viewer.account_id)
        assert await store.accounts.viewer(first.token) is None
        assert await store.accounts.caller(key) is None

    run(scenario())


def test_the_link_of_a_disabled_founder_opens_nothing(store, run):
    async def scenario():
        await disable(store, (await store.founder()).account_id)
        with pytest.raises(LinkExpired):
            await store.sign_in()

    run(scenario())


def test_parameters_that_somebody_wrote_into_the_row_are_read_as_they_were():
    stored = Parameters.fresh(Cost(time=5, memory=1024, lanes=2)).to_stored()
    assert Parameters.from_stored(stored).to_stored() == stored
