"""What is asked of a password, and what is derived from it."""

import asyncio
import time
import unicodedata

import pytest

from commun.store.passwords import (
    COST,
    Cost,
    Hasher,
    ManySignIns,
    Parameters,
    PasswordTooCommon,
    PasswordTooLong,
    PasswordTooShort,
    check_password,
    derive,
)

CHEAP = Cost(time=1, memory=64)


@pytest.mark.parametrize(
    "password",
    [
        "passwordpassword",
        "P@ssw0rd12345678",
        "motdepasse2026!!!",
        "azertyuiopqsdfghjklm",
        "123456789012345",
        "98765432109876543210",
        "aaaaaaaaaaaaaaaaaaaa",
        "abcabcabcabcabcabc",
        "plumeplumeplume",
        "ClaireMartin2026",
        "Claire-Martin-Claire",
        "iloveyouiloveyou!",
        "               ",
        "!!!!!!!!!!!!!!!!!!",
        "1qaz2wsx3edc4rfv",
        "1QAZXSW23EDCVFR4",
        "qazwsxedcrfvtgb",
        "12345678900987654321",
        "1234qwerasdfzxcv",
        "aqwzsxedcrfvtgb",
    ],
)
def test_what_everybody_tries_first_is_refused(password):
    with pytest.raises(PasswordTooCommon):
        check_password(password, "Claire Martin")


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple",
        "la pluie dort sous le tabouret",
        "xK9#mQ2$vL7!pR4&",
        "314159265358979323",
        "пароль который никто не знает",
        "鴉は夜に木の上で静かに眠っているのだ",
    ],
)
def test_everything_else_is_taken_whatever_it_is_made_of(password):
    check_password(password, "Claire Martin")


def test_only_its_length_is_ruled():
    with pytest.raises(PasswordTooShort, match="15"):
        check_password("xK9#mQ2$vL7!pR", "")
    with pytest.raises(PasswordTooLong, match="256"):
        check_password("correct horse " * 20, "")


def test_a_password_is_the_same_however_the_keyboard_composed_it():
    parameters = Parameters.fresh(CHEAP)
    composed, apart = (unicodedata.normalize(form, "café à la crème brûlée") for form in ("NFC", "NFD"))
    assert composed != apart
    assert derive(composed, parameters) == derive(apart, parameters)


def test_what_is_compared_says_nothing_about_what_opens():
    parameters = Parameters.fresh(CHEAP)
    derived = derive("correct horse battery staple", parameters)
    assert len(derived.secret) == len(derived.verifier) == 32
    assert derived.secret != derived.verifier
    assert derive("correct horse battery staple", Parameters.fresh(CHEAP)).secret != derived.secret
    assert derived.matches(derived.verifier)
    assert not derived.matches(None)
    assert "secret" not in repr(derived)
    assert derive("correct horse battery staple", Parameters.from_stored(parameters.to_stored())) == derived


def test_the_bytes_are_those_of_the_reference_implementation_of_argon2():
    """``printf password | argon2 somesalt -id -t 2 -m 16 -p 1 -l 64 -r``, cut in two, the second half hashed."""
    derived = derive("password", Parameters(b"somesalt", Cost(time=2, memory=65_536)))
    assert derived.secret.hex() == "c6d3bda8dd53fe77af559d28367a8cb4b27316029fc92d9d32963aa83ed6940a"
    assert derived.verifier.hex() == "f0c74c399d83728917f8b4277eabc022690cbb116cf6d1d36ad61a3243248e7d"


def test_the_cost_is_what_is_promised():
    assert (COST.memory, COST.time) == (65_536, 3)
    began = time.perf_counter()
    derive("correct horse battery staple", Parameters.fresh())
    assert time.perf_counter() - began > 0.02  # somebody who guesses pays for it


def test_a_flood_is_refused_and_the_few_that_wait_are_served():
    hasher = Hasher(Cost(time=1, memory=8_192), at_once=2, waiting=3)

    async def scenario():
        tried = await asyncio.gather(*(hasher.derive("x" * 20, None) for _ in range(40)), return_exceptions=True)
        assert sum(isinstance(one, ManySignIns) for one in tried) == 35
        assert (await hasher.derive("x" * 20, None)).secret  # and afterwards there is room again

    asyncio.run(scenario())
    hasher.close()


def test_who_asks_and_leaves_makes_no_room_for_more():
    hasher = Hasher(Cost(time=2, memory=65_536), at_once=1, waiting=1)

    async def scenario():
        leaving = [asyncio.ensure_future(hasher.derive("x" * 20, None)) for _ in range(2)]
        await asyncio.sleep(0)
        for one in leaving:
            one.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        with pytest.raises(ManySignIns):
            await hasher.derive("x" * 20, None)

    asyncio.run(scenario())
    hasher.close()
