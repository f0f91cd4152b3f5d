"""Signing in, locked and open vaults, recovery codes, API keys."""

import asyncio

import pytest

from commun.errors import LinkExpired, NotFound, NotSignedIn, Refused, VaultLocked
from commun.store.recovery import RecoveryCodeMistyped, RecoveryCodeWrong, new_secret, write_code
from commun.store.tokens import Recent

DAY = 86_400


async def settle(store):
    """Waits for what was posted to the writer."""
    await store.database.write(lambda connection: None)


def test_the_first_link_makes_the_founder_with_an_open_vault(store, run):
    async def scenario():
        assert await store.accounts.founder_id() is None
        signed_in = await store.sign_in()
        assert signed_in.viewer.key is not None
        assert await store.accounts.founder_id() == signed_in.viewer.account_id
        assert await store.accounts.viewer(signed_in.token) == signed_in.viewer

    run(scenario())


def test_a_link_works_once(store, run):
    async def scenario():
        link = await store.accounts.make_link()
        await store.accounts.redeem_link(link)
        with pytest.raises(LinkExpired):
            await store.accounts.redeem_link(link)

    run(scenario())


def test_a_link_used_twice_at_once_works_once(store, run):
    async def scenario():
        link = await store.accounts.make_link()
        tried = await asyncio.gather(*(store.accounts.redeem_link(link) for _ in range(8)), return_exceptions=True)
        assert sum(isinstance(one, LinkExpired) for one in tried) == 7

    run(scenario())


def test_a_link_ends_after_an_hour_and_when_a_newer_one_is_made(store, run):
    async def scenario():
        older = await store.accounts.make_link()
        newer = await store.accounts.make_link()
        with pytest.raises(LinkExpired):
            await store.accounts.redeem_link(older)
        store.clock.offset = 3601
        with pytest.raises(LinkExpired):
            await store.accounts.redeem_link(newer)

    run(scenario())


def test_a_browser_that_is_signed_in_keeps_its_session_and_its_open_vault(store, run):
    async def scenario():
        first = await store.sign_in()
        store.clock.offset = 1000
        again = await store.accounts.redeem_link(await store.accounts.make_link(), session=first.token)
        assert again.token != first.token
        assert again.viewer.session_id == first.viewer.session_id
        assert again.viewer.key.to_bytes() == first.viewer.key.to_bytes()
        assert await store.accounts.viewer(first.token) is None
        assert again.viewer.since >= first.viewer.since + 1000  # they have shown again who they are
        assert len(await store.accounts.sessions(first.viewer)) == 1

    run(scenario())


def test_another_browser_is_signed_in_but_locked_until_the_recovery_code(store, run):
    async def scenario():
        first = await store.sign_in()
        turn = await store.chat(first.viewer)
        code = await store.ways_in.make_recovery_code(first.viewer)
        assert await store.ways_in.has_recovery_code(first.viewer)
        other = await store.sign_in()
        assert other.viewer.key is None
        assert other.viewer.account_id == first.viewer.account_id
        for locked in (
            store.conversations.list(other.viewer),
            store.conversations.get(other.viewer, turn.conversation_id),
            store.conversations.search(other.viewer, "x"),
            store.ways_in.make_recovery_code(other.viewer),
            store.conversations.start_turn(other.viewer, conversation_id=None, parent_id=None, question="?", title=""),
        ):
            with pytest.raises(VaultLocked):
                await locked
        signed_in = await store.ways_in.unlock(other.token, other.viewer, code.lower())
        opened = signed_in.viewer
        assert len(await store.conversations.list(opened)) == 1
        assert await store.accounts.viewer(signed_in.token) == opened
        assert await store.accounts.viewer(other.token) is None
        assert all(one.unlocked for one in await store.accounts.sessions(opened))

    run(scenario())


def test_a_wrong_code_is_told_from_a_mistyped_one(store, run):
    async def scenario():
        first = await store.sign_in()
        other = await store.sign_in()
        with pytest.raises(RecoveryCodeWrong):
            await store.ways_in.unlock(other.token, other.viewer, write_code(new_secret()))
        older = await store.ways_in.make_recovery_code(first.viewer)
        await store.ways_in.make_recovery_code(first.viewer)
        with pytest.raises(RecoveryCodeMistyped):
            await store.ways_in.unlock(other.token, other.viewer, older[:-1])
        with pytest.raises(Refused):
            await store.ways_in.unlock(other.token, other.viewer, older)
        assert (await store.accounts.viewer(other.token)).key is None

    run(scenario())


def test_a_vault_is_not_opened_for_a_session_that_is_not_ones_own(store, run):
    async def scenario():
        first = await store.sign_in()
        other = await store.sign_in()
        code = await store.ways_in.make_recovery_code(first.viewer)
        with pytest.raises(NotSignedIn):
            await store.ways_in.unlock(first.token, other.viewer, code)
        with pytest.raises(NotSignedIn):
            await store.ways_in.start_over(first.token, other.viewer)
        assert (await store.accounts.viewer(first.token)).vault_id == first.viewer.vault_id

    run(scenario())


def test_starting_over_hides_what_cannot_be_opened_and_locks_the_other_browsers(store, run):
    async def scenario():
        first = await store.sign_in()
        turn = await store.chat(first.viewer)
        other = await store.sign_in()
        fresh = (await store.ways_in.start_over(other.token, other.viewer)).viewer
        assert fresh.key is not None
        assert await store.conversations.list(fresh) == []
        with pytest.raises(NotFound):
            await store.conversations.get(fresh, turn.conversation_id)
        assert (await store.accounts.viewer(first.token)).key is None
        await store.chat(fresh)
        assert len(await store.conversations.list(fresh)) == 1

    run(scenario())


def test_with_nothing_to_lose_a_new_browser_gets_a_new_vault(store, run):
    async def scenario():
        first = await store.sign_in()
        await store.accounts.sign_out(first.viewer)
        assert (await store.sign_in()).viewer.key is not None

    run(scenario())


def test_an_account_that_began_with_an_api_key_gets_its_vault_from_the_first_link(store, run):
    async def scenario():
        founder = await store.accounts.ensure_founder()
        assert founder == await store.accounts.ensure_founder()
        key = await store.accounts.make_api_key(founder, "early")
        assert (await store.accounts.caller(key)).public_key is None
        viewer = await store.founder()
        assert viewer.account_id == founder
        assert viewer.key is not None
        assert (await store.accounts.caller(key)).public_key == viewer.key.public

    run(scenario())


def test_signing_out_and_revoking_work_at_once(store, run):
    async def scenario():
        first, other = await store.sign_in(), await store.sign_in()
        assert await store.accounts.viewer(other.token) is not None
        await store.accounts.revoke_session(first.viewer, other.viewer.session_id)
        assert await store.accounts.viewer(other.token) is None
        await store.accounts.sign_out(first.viewer)
        assert await store.accounts.viewer(first.token) is None

    run(scenario())


def test_a_session_ends_some_days_after_it_was_last_used(store, run):
    async def scenario():
        signed_in = await store.sign_in()
        store.clock.offset = 29 * DAY
        store.accounts._forget()
        assert await store.accounts.viewer(signed_in.token) is not None
        await settle(store)
        store.clock.offset = 58 * DAY
        store.accounts._forget()
        assert await store.accounts.viewer(signed_in.token) is not None
        await settle(store)
        store.clock.offset = 89 * DAY
        store.accounts._forget()
        assert await store.accounts.viewer(signed_in.token) is None
        assert await store.accounts.purge_expired() == 1

    run(scenario())


def test_no_cookie_or_a_made_up_one_is_nobodys(store, run):
    async def scenario():
        await store.sign_in()
        for token in ("", "x", "é" * 43, "a" * 5000):
            assert await store.accounts.viewer(token) is None
            assert await store.accounts.caller(token) is None

    run(scenario())


def test_language_and_theme_are_remembered_at_once(store, run):
    async def scenario():
        signed_in = await store.sign_in()
        await store.accounts.set_language(signed_in.viewer, "fr")
        await store.accounts.set_theme(signed_in.viewer, "dark")
        viewer = await store.accounts.viewer(signed_in.token)
        assert (viewer.language, viewer.theme) == ("fr", "dark")

    run(scenario())


def test_an_api_key_is_shown_once_listed_by_its_beginning_and_revoked_at_once(store, run):
    async def scenario():
        viewer = await store.founder()
        key = await store.accounts.make_api_key(viewer.account_id, "laptop")
        assert key.startswith("cm_")
        assert (await store.accounts.caller(key)).name == "laptop"
        await settle(store)
        [info] = await store.accounts.api_keys(viewer.account_id)
        assert (info.name, info.prefix) == ("laptop", key[:7])
        assert info.last_used is not None
        await store.accounts.revoke_api_key(viewer.account_id, info.id)
        assert await store.accounts.caller(key) is None
        assert await store.accounts.api_keys(viewer.account_id) == []

    run(scenario())


def test_using_an_api_key_often_writes_its_time_once_a_minute(store, run, monkeypatch):
    async def scenario():
        viewer = await store.founder()
        key = await store.accounts.make_api_key(viewer.account_id, "busy")
        posted, post = [], store.database.post
        monkeypatch.setattr(store.database, "post", lambda work: (posted.append(work), post(work)))
        for seconds in range(0, 180, 3):
            store.clock.offset = seconds
            store.accounts._forget()
            await store.accounts.caller(key)
            await settle(store)
        assert len(posted) == 3

    run(scenario())


def test_a_value_read_before_a_revocation_is_not_remembered_after_it():
    recent: Recent[str] = Recent()
    began = recent.generation
    recent.clear()
    recent.put(b"key", "old", began)
    assert recent.find(b"key") is None


def test_the_memory_of_callers_is_small_and_short():
    recent: Recent[int] = Recent(size=3, ttl_s=60)
    for number in range(10):
        recent.put(b"%d" % number, number, 0)
    assert [recent.find(b"%d" % number) for number in range(10)] == [None] * 7 + [7, 8, 9]
    brief: Recent[int] = Recent(ttl_s=-1)
    brief.put(b"key", 1, 0)
    assert brief.find(b"key") is None


def test_a_tampered_wrapped_key_locks_instead_of_failing(store, run):
    async def scenario():
        signed_in = await store.sign_in()
        await store.database.write(
            lambda connection: connection.exec_driver_sql("UPDATE sessions SET wrapped_key = x'04ff'")
        )
        store.accounts._forget()
        assert (await store.accounts.viewer(signed_in.token)).key is None

    run(scenario())


def test_nothing_secret_shows_in_print(store, run):
    async def scenario():
        signed_in = await store.sign_in()
        assert signed_in.token not in repr(signed_in)
        assert "AccountKey" not in repr(signed_in.viewer)

    run(scenario())


def test_what_a_person_was_told_of_the_charter_is_remembered_across_browsers(store, run):
    async def scenario():
        first = await store.sign_in()
        assert first.viewer.told_edition is None
        await store.accounts.set_told_edition(first.viewer, 3)
        return (await store.accounts.viewer(first.token)).told_edition, (await store.sign_in()).viewer.told_edition

    assert run(scenario()) == (3, 3)
