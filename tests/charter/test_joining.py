"""Invitations and requests: short texts that grant nothing and prove who holds the key."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boards import NOW, charter_files, member, signer
from commun.charter.amendment import propose
from commun.charter.errors import BadKey, BadSignature, CharterError
from commun.charter.joining import BadInvitation, Invitation, JoinRequest, accept, charter_digest, join_payload

FIRST = propose(charter_files(), None, None, reason="Why.", now=NOW)
assert FIRST.root is not None
ROOT = FIRST.root
INVITATION = Invitation("Zoé Martin", "Ada", "Town hall", charter_digest(ROOT), FIRST.digest)


def text_with(request: JoinRequest, **changes: object) -> str:
    kind, _, data = request.to_text().partition(":")
    fields = json.loads(base64.urlsafe_b64decode(data)) | changes
    return f"{kind}:{base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()}"


def test_an_invitation_and_its_answer_travel_as_text():
    invitation = Invitation.from_text(INVITATION.to_text())
    assert invitation == INVITATION
    request = JoinRequest.from_text(accept(invitation, signer("Zoé")).to_text())
    assert (request.name, request.key) == ("Zoé Martin", member("Zoé").public_text)
    request.check_charter(ROOT)


def test_line_breaks_and_lost_padding_of_a_mail_program_do_not_matter():
    text = INVITATION.to_text()
    wrapped = "  " + "\r\n".join(text[at : at + 60] for at in range(0, len(text), 60)).rstrip("=") + "\n"
    assert Invitation.from_text(wrapped) == INVITATION


def test_a_browser_signs_the_same_bytes():
    key = member("Zoé")
    signature = key.private.sign(join_payload(INVITATION.name, key.public_text, INVITATION.root_digest)).hex()
    assert JoinRequest(INVITATION.name, key.public_text, INVITATION.root_digest, signature) == accept(
        INVITATION, key.signer
    )


@pytest.mark.parametrize(
    "changes",
    [{"name": "Mallory"}, {"charter": "00" * 32}, {"key": member("Mallory").public_text}, {"sig": "00" * 64}],
    ids=lambda changes: next(iter(changes)),
)
def test_a_request_is_bound_to_the_name_the_key_and_the_charter(changes: dict[str, str]):
    with pytest.raises(BadSignature):
        JoinRequest.from_text(text_with(accept(INVITATION, signer("Zoé")), **changes))


def test_a_request_to_another_board_is_refused():
    other = propose(charter_files(quorum=2), None, None, reason="Why.", now=NOW).root
    assert other is not None
    with pytest.raises(BadInvitation, match="another charter"):
        accept(INVITATION, signer("Zoé")).check_charter(other)


def test_a_weak_key_is_refused_before_its_signature_is_looked_at():
    weak = "ed25519:" + "01" + "00" * 31  # with it, one signature fits every text
    with pytest.raises(BadKey):
        JoinRequest.from_text(text_with(accept(INVITATION, signer("Zoé")), key=weak))


@pytest.mark.parametrize(
    "changes",
    [
        {"more": "x"},
        {"name": 1},
        {"name": ""},
        {"name": " Zoé"},
        {"name": "Zoé\nMartin"},
        {"name": "x" * 201},
        {"charter": "x"},
        {"_type": "commun-join/2"},
        {"key": "x" * 300},
    ],
)
def test_misshapen_requests_are_refused(changes: dict[str, object]):
    with pytest.raises(BadInvitation):
        JoinRequest.from_text(text_with(accept(INVITATION, signer("Zoé")), **changes))


def test_the_two_texts_are_not_taken_for_each_other():
    with pytest.raises(BadInvitation):
        Invitation.from_text(accept(INVITATION, signer("Zoé")).to_text())
    with pytest.raises(BadInvitation):
        JoinRequest.from_text(INVITATION.to_text())


@given(st.text(max_size=100), st.binary(max_size=100))
def test_arbitrary_text_raises_only_our_errors(text: str, data: bytes):
    encoded = base64.urlsafe_b64encode(data).decode()
    for hostile in (
        text,
        f"commun-join:{text}",
        f"commun-invitation:{text}",
        f"commun-join:{encoded}",
        f"commun-invitation:{encoded}",
    ):
        for read in (Invitation.from_text, JoinRequest.from_text):
            with pytest.raises(CharterError):
                read(hostile)


def test_an_endless_text_is_refused():
    with pytest.raises(BadInvitation):
        Invitation.from_text("commun-invitation:" + "A" * 1_000_000)
