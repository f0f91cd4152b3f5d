"""The vault: what is sealed opens with its key, in its place, whole, and in no other way."""

import hashlib
import json
from base64 import b64decode
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commun.store.vault import (
    AccountKey,
    ConversationKey,
    PublicKey,
    VaultError,
    bind,
    open_under,
    seal_under,
    unwrap,
    wrap,
)

ACCOUNT = AccountKey.generate()
OTHER = AccountKey.generate()
CONVERSATION = ConversationKey.generate()

SEALERS = {
    "to the public key": (ACCOUNT.public.seal, ACCOUNT.open, OTHER.open),
    "by the owner": (ACCOUNT.seal, ACCOUNT.open, OTHER.open),
    "under a conversation's key": (CONVERSATION.seal, CONVERSATION.open, ConversationKey.generate().open),
    "under a token": (partial(seal_under, "cm_mine"), partial(open_under, "cm_mine"), partial(open_under, "cm_other")),
}
sealers = pytest.mark.parametrize(("seal", "unseal", "unseal_other"), SEALERS.values(), ids=SEALERS)


@sealers
@given(plaintext=st.binary(max_size=5000), context=st.binary(max_size=200))
def test_what_is_sealed_opens_again(seal, unseal, unseal_other, plaintext, context):
    assert unseal(seal(plaintext, context), context) == plaintext


@sealers
@given(data=st.data())
@settings(max_examples=60)
def test_a_changed_bit_is_noticed(seal, unseal, unseal_other, data):
    sealed = bytearray(seal(b"plain text", b"context"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(VaultError):
        unseal(bytes(sealed), b"context")


@sealers
@given(rubbish=st.binary(max_size=1400), version=st.sampled_from([b"", b"\x01", b"\x02", b"\x03", b"\x04", b"\x05"]))
def test_rubbish_raises_vault_error_and_nothing_else(seal, unseal, unseal_other, rubbish, version):
    with pytest.raises(VaultError):
        unseal(version + rubbish, b"context")


@sealers
def test_another_key_opens_nothing(seal, unseal, unseal_other):
    with pytest.raises(VaultError):
        unseal_other(seal(b"plain text", b"context"), b"context")


@sealers
def test_another_context_opens_nothing(seal, unseal, unseal_other):
    with pytest.raises(VaultError):
        unseal(seal(b"plain text", b"context"), b"another")


@sealers
def test_the_same_text_never_looks_the_same_twice(seal, unseal, unseal_other):
    assert seal(b"plain text", b"context") != seal(b"plain text", b"context")


def test_what_one_key_sealed_for_a_conversation_cannot_pass_as_sealed_by_the_owner():
    sealed = CONVERSATION.seal(b"plain text", b"context")
    with pytest.raises(VaultError):
        ACCOUNT.open(sealed, b"context")


def test_a_wrapped_key_comes_back_with_its_secret_only():
    wrapped = wrap(ACCOUNT, b"s" * 32, b"context")
    assert unwrap(wrapped, b"s" * 32, b"context") == ACCOUNT
    for secret, context in ((b"t" * 32, b"context"), (b"s" * 32, b"another")):
        with pytest.raises(VaultError):
            unwrap(wrapped, secret, context)


def test_keys_survive_being_written_down():
    assert AccountKey.from_bytes(ACCOUNT.to_bytes()).open(ACCOUNT.public.seal(b"x", b"c"), b"c") == b"x"
    assert ACCOUNT.open(PublicKey.from_bytes(ACCOUNT.public.to_bytes()).seal(b"x", b"c"), b"c") == b"x"


@pytest.mark.parametrize("kind", [AccountKey, PublicKey, ConversationKey])
@pytest.mark.parametrize("length", [0, 1, 31, 33, 95, 97, 1215, 1217])
def test_a_key_of_the_wrong_length_is_refused(kind, length):
    with pytest.raises(VaultError):
        kind.from_bytes(b"\x01" * length)


def test_a_malformed_public_key_is_refused():
    with pytest.raises(VaultError):
        PublicKey.from_bytes(b"\xff" * len(ACCOUNT.public.raw))


def test_keys_do_not_show_in_print():
    secret = ACCOUNT.to_bytes()
    assert str(secret)[2:-1] not in repr(ACCOUNT)
    assert str(CONVERSATION.to_bytes())[2:-1] not in repr(CONVERSATION)


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\x00", codec="utf-8")), max_size=4).map(tuple))
def test_different_facts_give_different_contexts(facts):
    assert bind("table", "column", *facts).split(b"\x00")[2:] == [fact.encode() for fact in facts]


def test_a_fact_cannot_pretend_to_be_two():
    with pytest.raises(VaultError):
        bind("table", "column", "one\x00two")


def test_what_was_sealed_by_the_first_version_opens_for_ever():
    formats = json.loads((Path(__file__).parent / "vault_formats.json").read_text("utf-8"))
    account, conversation = AccountKey.from_bytes(bytes(range(96))), ConversationKey.from_bytes(bytes(range(32)))
    context, plaintext = b64decode(formats["context"]), formats["plaintext"].encode()
    assert bind("messages", "content", "c1", "c2", "", "user") == context
    assert hashlib.sha256(account.public.raw).hexdigest() == formats["public_key_sha256"]
    assert account.open(b64decode(formats["to_public_key"]), context) == plaintext
    assert account.open(b64decode(formats["by_owner"]), context) == plaintext
    assert conversation.open(b64decode(formats["content"]), context) == plaintext
    assert unwrap(b64decode(formats["wrapped"]), b"s" * 32, context) == account
