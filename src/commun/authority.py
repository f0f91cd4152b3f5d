"""Who may what: every address of the pages, the API and the witness, and for whom it opens. The one table.

Rules:

- an address without a row is not served: ``doors.py`` puts each route behind its row's door when the server is built,
  and refuses to build one where a row or a route is missing. To add an address, add its row;
- a door opens before anything of the request's body is read. The rungs of ``Who`` are a ladder: whoever stands higher
  may everything below. Only a guest of a class stands beside it, without an account: ``FOR_GUESTS`` names the doors
  that open, and no other does;
- an id is never a right: whose a conversation, an answer, a key or a link is, the store asks with every statement, and
  what is somebody else's is NotFound, word for word like what does not exist;
- a disabled account has neither sessions nor keys: at every door its owner is a stranger;
- what outlasts the session of whoever does it (``FRESH``) opens to who has shown in the last ten minutes who they are,
  and asks others first (``web/is_it_you.py``): a browser that was left open, or a stolen cookie, adds no way in;
- an administrator stands higher than a member at the doors of administration only. No row, and nothing behind one,
  gives anybody else's vault to anybody: there is no key to give;
- a program with an API key may what ``KEY`` rows say, whoever owns the key: nobody administers with a key.

``tests/test_authority.py`` tries every cell over a real server, and every id as somebody else's.
"""

from enum import Enum, IntEnum
from typing import Final

from commun.errors import BadApiKey, CommunError, NotForGuests, NotSignedIn, Refused, VaultLocked


class Who(IntEnum):
    """Whoever asks with a browser. ``GUEST``: in a class, without an account. ``LOCKED``: signed in, but this browser
    does not open the vault.
    """

    STRANGER = 0
    GUEST = 1
    LOCKED = 2
    MEMBER = 3
    ADMINISTRATOR = 4


class Door(Enum):
    """What an address asks for. ``PUBLIC``: nothing; the page may still know who is signed in, and shows nobody what is
    another's. ``ASKING``: to be a member, or a guest, of whom nothing behind it is stored. ``KEY``: an API key; cookies
    are not read. ``NEAR``: to come from this machine, or an API key.
    """

    PUBLIC = "public"
    ASKING = "asking"
    SIGNED_IN = "signed in"
    MEMBER = "member"
    ADMINISTRATOR = "administrator"
    KEY = "key"
    NEAR = "near"


LOWEST: Final = {
    Door.PUBLIC: Who.STRANGER,
    Door.ASKING: Who.MEMBER,
    Door.SIGNED_IN: Who.LOCKED,
    Door.MEMBER: Who.MEMBER,
    Door.ADMINISTRATOR: Who.ADMINISTRATOR,
}
FOR_GUESTS: Final = frozenset({Door.PUBLIC, Door.ASKING})
WITH_KEY: Final = frozenset({Door.KEY, Door.NEAR})
ANY: Final = "ANY"  # instead of a method: the route takes all of them


FRESH_S: Final = 600.0  # MediaWiki's $wgReauthenticateTime asks again after 300 seconds, since its 1.45 after 3600


def is_fresh(since: float, now: float) -> bool:
    """Whether who showed at ``since`` who they are need not do so again."""
    return since <= now <= since + FRESH_S


def refusal(door: Door, who: Who) -> CommunError | None:
    """Why the door of a page stays shut; None where it opens."""
    if who is Who.GUEST:
        return None if door in FOR_GUESTS else NotForGuests()
    if who >= LOWEST[door]:
        return None
    if who is Who.STRANGER:
        return NotSignedIn()
    return VaultLocked() if who is Who.LOCKED else Refused()


def refusal_without_key(door: Door, *, has_key: bool, near: bool) -> CommunError | None:
    """Why the door of a program's address stays shut; None where it opens."""
    return None if has_key or (door is Door.NEAR and near) else BadApiKey()


TABLE: Final[dict[str, Door]] = {
    # Chats: one's own.
    "GET /": Door.MEMBER,
    "GET /temporary": Door.ASKING,
    "POST /temporary": Door.ASKING,
    "POST /ask": Door.MEMBER,
    "GET /c/{id}": Door.MEMBER,
    "GET /c/{id}/export.md": Door.MEMBER,
    "GET /c/{id}/export.json": Door.MEMBER,
    "POST /c/{id}/ask": Door.MEMBER,
    "POST /c/{id}/edit": Door.MEMBER,
    "POST /c/{id}/again": Door.MEMBER,
    "POST /c/{id}/branch": Door.MEMBER,
    "POST /c/{id}/rename": Door.MEMBER,
    "POST /c/{id}/delete": Door.MEMBER,
    "POST /c/{id}/restore": Door.MEMBER,
    "GET /c/{id}/move": Door.MEMBER,
    "POST /c/{id}/move": Door.MEMBER,
    "GET /conversations": Door.MEMBER,
    "GET /folders": Door.MEMBER,
    "POST /folders": Door.MEMBER,
    "GET /folders/{id}": Door.MEMBER,
    "POST /folders/{id}": Door.MEMBER,
    "POST /folders/{id}/delete": Door.MEMBER,
    "GET /c/{id}/feedback": Door.MEMBER,
    "POST /c/{id}/feedback": Door.MEMBER,
    # Whole conversations, shared with one person: the owner's side, the link, and the reader's.
    "GET /c/{id}/readers": Door.MEMBER,
    "POST /c/{id}/readers": Door.MEMBER,
    "POST /readers/{id}/end": Door.MEMBER,
    "GET /with/{token}": Door.MEMBER,
    "POST /with/{token}": Door.MEMBER,
    "GET /reading/{id}": Door.MEMBER,
    "GET /reading/{id}/export.md": Door.MEMBER,
    "GET /reading/{id}/export.json": Door.MEMBER,
    "POST /reading/{id}/leave": Door.MEMBER,
    "POST /reading/{id}/copy": Door.MEMBER,
    "GET /reading/{id}/receipt/{receipt}": Door.MEMBER,
    "GET /reading/{id}/receipt/{receipt}/bundle": Door.MEMBER,
    "GET /answers/{id}/events": Door.ASKING,
    "POST /answers/{id}/stop": Door.ASKING,
    "GET /search": Door.MEMBER,
    "GET /engine": Door.ASKING,
    "POST /charter/told": Door.MEMBER,
    # Signing in and out, and the vault's lock.
    "GET /sign-in": Door.PUBLIC,
    "POST /sign-in": Door.PUBLIC,
    "GET /sign-in/code": Door.PUBLIC,
    "POST /sign-in/code": Door.PUBLIC,
    "POST /sign-in/passkey/options": Door.PUBLIC,
    "POST /sign-in/passkey": Door.PUBLIC,
    "POST /sign-in/provider": Door.PUBLIC,
    "GET /sign-in/provider/back": Door.PUBLIC,
    "GET /sign-in/provider/join": Door.PUBLIC,
    "POST /sign-in/provider/join": Door.PUBLIC,
    "POST /sign-in/provider/join/passkey/options": Door.PUBLIC,
    "POST /sign-in/provider/join/passkey": Door.PUBLIC,
    "POST /invitation/{token}/provider": Door.PUBLIC,
    "GET /invitation/{token}": Door.PUBLIC,
    "POST /invitation/{token}": Door.PUBLIC,
    "GET /welcome": Door.MEMBER,
    "POST /welcome/code": Door.MEMBER,
    "GET /welcome/try": Door.MEMBER,
    "POST /welcome/try": Door.MEMBER,
    "POST /sign-out": Door.PUBLIC,
    # A class: whoever has its code comes in without an account.
    "GET /class": Door.PUBLIC,
    "POST /class": Door.PUBLIC,
    "POST /class/leave": Door.PUBLIC,
    "POST /class/look": Door.PUBLIC,
    "GET /unlock": Door.SIGNED_IN,
    "POST /unlock": Door.SIGNED_IN,
    "POST /unlock/start-over": Door.SIGNED_IN,
    # Settings: one's own.
    "GET /settings": Door.MEMBER,
    "POST /settings/preferences": Door.MEMBER,
    "POST /settings/instructions": Door.MEMBER,
    "POST /settings/keys": Door.MEMBER,
    "POST /settings/keys/{id}/revoke": Door.MEMBER,
    "POST /settings/sessions/{id}/revoke": Door.MEMBER,
    "POST /settings/shares/{id}/revoke": Door.MEMBER,
    "POST /settings/sent/{id}/withdraw": Door.MEMBER,
    "POST /settings/recovery": Door.MEMBER,
    "POST /settings/name": Door.MEMBER,
    "POST /settings/password": Door.MEMBER,
    "POST /settings/passphrase": Door.MEMBER,
    "POST /settings/provider": Door.MEMBER,
    "POST /settings/passkeys/options": Door.MEMBER,
    "POST /settings/passkeys": Door.MEMBER,
    "POST /settings/ways-in/{id}/remove": Door.MEMBER,
    "GET /is-it-you": Door.SIGNED_IN,
    "POST /is-it-you": Door.SIGNED_IN,
    "POST /is-it-you/passkey/options": Door.SIGNED_IN,
    "POST /is-it-you/passkey": Door.SIGNED_IN,
    "POST /settings/sessions/revoke-others": Door.MEMBER,
    "GET /settings/data": Door.MEMBER,
    "GET /settings/export": Door.MEMBER,
    "POST /settings/import": Door.MEMBER,
    "POST /c/{id}/erase": Door.MEMBER,
    "GET /settings/delete": Door.SIGNED_IN,
    "POST /settings/delete": Door.SIGNED_IN,
    "POST /settings/audits": Door.MEMBER,
    # What is seen of people: told to everybody who is one. Administration: no row of it opens anything of a vault.
    "GET /what-we-can-see": Door.SIGNED_IN,
    "GET /models": Door.ADMINISTRATOR,
    "POST /models": Door.ADMINISTRATOR,
    "GET /models/state": Door.ADMINISTRATOR,
    "POST /models/stop": Door.ADMINISTRATOR,
    "POST /models/{id}/remove": Door.ADMINISTRATOR,
    "GET /people": Door.ADMINISTRATOR,
    "POST /people/invitations": Door.ADMINISTRATOR,
    "POST /people/invitations/{id}/revoke": Door.ADMINISTRATOR,
    "GET /people/{id}": Door.ADMINISTRATOR,
    "POST /people/{id}/disable": Door.ADMINISTRATOR,
    "POST /people/{id}/enable": Door.ADMINISTRATOR,
    "POST /people/{id}/role": Door.ADMINISTRATOR,
    "POST /people/{id}/quota": Door.ADMINISTRATOR,
    "GET /classes": Door.ADMINISTRATOR,
    "POST /classes": Door.ADMINISTRATOR,
    "POST /classes/{id}/code": Door.ADMINISTRATOR,
    "POST /classes/{id}/end": Door.ADMINISTRATOR,
    # Single answers that somebody sent to the administrators of that day: opened with the vault of who looks.
    "GET /sent": Door.ADMINISTRATOR,
    "GET /sent/{id}": Door.ADMINISTRATOR,
    "GET /sent/{id}/bundle": Door.ADMINISTRATOR,
    "POST /sent/{id}/state": Door.ADMINISTRATOR,
    "POST /sent/{id}/delete": Door.ADMINISTRATOR,
    # The charter, its board and the ledger: everybody's to read. What changes something there is signed by a key of the
    # board, and no account can do it.
    "GET /charter": Door.PUBLIC,
    "GET /charter/editions": Door.PUBLIC,
    "GET /charter/editions/{number}": Door.PUBLIC,
    "GET /charter/editions/{number}/files/{path:path}": Door.PUBLIC,
    "GET /charter/repository/{path:path}": Door.PUBLIC,
    "GET /charter/charter.zip": Door.PUBLIC,
    "GET /charter/feed.atom": Door.PUBLIC,
    "GET /board": Door.PUBLIC,
    "GET /board/join": Door.PUBLIC,
    "GET /board/invite": Door.PUBLIC,
    "POST /board/upload": Door.PUBLIC,
    "POST /board/draft": Door.PUBLIC,
    "POST /board/draft/to-sign": Door.PUBLIC,
    "POST /board/draft/sign": Door.PUBLIC,
    "POST /board/freeze/to-sign": Door.PUBLIC,
    "POST /board/freeze/sign": Door.PUBLIC,
    "GET /board/{document}": Door.PUBLIC,
    "GET /board/{document}.amendment": Door.PUBLIC,
    "GET /board/{document}/to-sign": Door.PUBLIC,
    "POST /board/{document}/sign": Door.PUBLIC,
    "POST /board/{document}/adopt": Door.PUBLIC,
    "GET /ledger": Door.PUBLIC,
    "GET /audits": Door.PUBLIC,
    "GET /ledger/entry/{number}": Door.PUBLIC,
    "GET /ledger/entry/{number}/proof": Door.PUBLIC,
    "GET /ledger/find": Door.PUBLIC,
    "GET /ledger/checkpoint": Door.PUBLIC,
    "GET /ledger/witnessed": Door.PUBLIC,
    "GET /ledger/key": Door.PUBLIC,
    "GET /ledger/policy": Door.PUBLIC,
    "GET /ledger/tile/{path:path}": Door.PUBLIC,
    # Receipts: a conversation's is its owner's, one of an answer that nobody keeps is for whoever has its id.
    "GET /receipt/{id}": Door.PUBLIC,
    "GET /receipt/{id}/bundle": Door.PUBLIC,
    "POST /receipt/{id}/bundle": Door.ASKING,
    "GET /receipt/{id}/share": Door.MEMBER,
    "POST /receipt/{id}/share": Door.MEMBER,
    "GET /receipt/{id}/send": Door.MEMBER,
    "POST /receipt/{id}/send": Door.MEMBER,
    # For whoever has the link, and for everybody.
    "GET /share/{token}": Door.PUBLIC,
    "GET /share/{token}/bundle": Door.PUBLIC,
    "GET /verify": Door.PUBLIC,
    "GET /static/{version}/{path:path}": Door.PUBLIC,
    # Programs.
    "ANY /v1": Door.PUBLIC,  # nothing is there
    "POST /v1/chat/completions": Door.KEY,
    "POST /v1/completions": Door.KEY,
    "GET /v1/receipts/{receipt}": Door.KEY,
    "GET /v1/models": Door.KEY,
    "GET /v1/models/{model:path}": Door.KEY,
    "GET /metrics": Door.NEAR,
    "GET /openapi.json": Door.PUBLIC,
    "GET /healthz": Door.PUBLIC,
    "GET /readyz": Door.PUBLIC,
    # Other logs, which sign what they send.
    "POST /witness/add-checkpoint": Door.PUBLIC,
    "GET /witness/key": Door.PUBLIC,
    "GET /witness/{origin_hash}/checkpoint": Door.PUBLIC,
}

# The rows for which somebody must have shown lately who they are, and the page where each of them begins: there they go
# on. Left out is what protects (signing other browsers out, revoking keys, withdrawing, disabling): it stays easy.
FRESH: Final[dict[str, str]] = {
    # Ways in: added, changed, taken away; and what becomes of the vault.
    "POST /welcome/code": "/welcome",
    "POST /unlock/start-over": "/unlock",
    "POST /settings/recovery": "/settings#recovery",
    "POST /settings/name": "/settings#password",
    "POST /settings/password": "/settings#password",
    "POST /settings/passphrase": "/settings#ways",
    "POST /settings/provider": "/settings#ways",
    "POST /settings/passkeys/options": "/settings#ways",
    "POST /settings/passkeys": "/settings#ways",
    "POST /settings/ways-in/{id}/remove": "/settings#ways",
    "POST /settings/keys": "/settings#keys",
    # Everything at once: out of the house, or gone.
    "GET /settings/export": "/settings/data",
    "GET /settings/delete": "/settings/delete",
    "POST /settings/delete": "/settings/delete",
    # Who else comes in, and as what.
    "POST /people/invitations": "/people",
    "POST /people/{id}/enable": "/people/{id}",
    "POST /people/{id}/role": "/people/{id}",
    "POST /classes": "/classes",
    "POST /classes/{id}/code": "/classes",
}
