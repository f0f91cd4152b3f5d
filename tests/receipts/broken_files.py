"""The file, the envelope, the signature: steps 1 and 2."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import rfc8785

import world
from broken_case import SMALL_ORDER, Broken, envelope, small_data
from commun.ledger.keys import to_base64
from commun.receipts.dsse import pre_authentication_encoding
from commun.receipts.errors import Reason
from golden import PINNED


def _json(made: Broken) -> None:
    data, reason = small_data(), Reason.NOT_STRICT_JSON
    made.add("cut-in-half", reason, "the file ends in the middle", data[: len(data) // 2])
    made.add("empty-file", reason, "nothing", b"")
    made.add("list-at-the-top", reason, "a list is no bundle", b"[" + data + b"]")
    made.add("two-values", reason, "something follows the bundle", data + b"{}")
    made.add("byte-order-mark", reason, "UTF-8 begins without one", b"\xef\xbb\xbf" + data)
    made.add("not-utf-8", reason, "a byte that no UTF-8 has", data.replace("🗳".encode(), b"\xff"))
    made.add("half-a-surrogate", reason, "no text has half a character", data.replace("🗳".encode(), b"\\ud83d"))
    made.add(
        "duplicate-key",
        reason,
        "a name twice at the top; the last one would win",
        data.replace(b"{", b'{ "key": "",', 1),
    )
    made.add(
        "duplicate-key-inside",
        reason,
        "a name twice in a disclosed value",
        data.replace(b'"value": "The', b'"value": "Another.", "value": "The'),
    )
    escaped = data.replace(b"{", b'{ "k\\u0065y": "",', 1)
    made.add("duplicate-key-escaped", reason, "the same name twice, once with an escape", escaped)
    made.add("float", reason, "9690.0 for 9690", data.replace(b"9690,", b"9690.0,"))
    made.add("exponent", reason, "49151e0 for 49151", data.replace(b"49151,", b"49151e0,"))
    made.add("huge-integer", reason, "a number of 400 digits", data.replace(b"9690,", b"9" * 400 + b","))
    made.add("not-a-number", reason, "NaN, which some readers take", data.replace(b"9690,", b"NaN,"))
    made.add("single-quotes", reason, "JSON has double ones", data.replace(b'"format"', b"'format'"))
    made.add(
        "nested-deeply",
        reason,
        "100,000 lists in each other",
        data.replace(b"9690,", b"[" * 100_000 + b"]" * 100_000 + b","),
    )


def _fields(made: Broken) -> None:
    reason, salt = Reason.BUNDLE_FIELDS, "disclosed"
    made.changed("unknown-field", reason, "a field that no bundle has", lambda v: v.update(comment="trust me"))
    made.changed("missing-field", reason, "the ledger's field is not there", lambda v: v.pop("ledger"))
    made.changed("other-format", reason, "a later format", lambda v: v.update(format="commun-bundle/2"))
    made.changed(
        "disclosed-field-unknown", reason, "a value that no receipt commits to", lambda v: v[salt].update(mood=None)
    )
    made.changed("disclosed-field-missing", reason, "withheld is null, not absent", lambda v: v[salt].pop("schema"))
    made.changed(
        "boolean-for-a-number",
        reason,
        "true is no token id",
        lambda v: v[salt]["prompt_token_ids"]["value"].__setitem__(0, True),
    )
    made.changed(
        "negative-token-id", reason, "below zero", lambda v: v[salt]["prompt_token_ids"]["value"].__setitem__(0, -1)
    )
    made.changed(
        "token-id-beyond-32-bits",
        reason,
        "4294967296",
        lambda v: v[salt]["prompt_token_ids"]["value"].__setitem__(0, 2**32),
    )
    made.changed(
        "logprob-beyond-53-bits",
        reason,
        "9007199254740992",
        lambda v: v[salt]["logprobs"]["value"].__setitem__(0, 2**53),
    )
    made.changed(
        "text-for-a-list", reason, "token ids as text", lambda v: v[salt]["prompt_token_ids"].update(value="1 9690")
    )
    made.changed(
        "message-with-another-field",
        reason,
        "a message has a role and a content",
        lambda v: v[salt]["prompt_messages"]["value"][0].update(name="x"),
    )
    made.changed("short-salt", reason, "31 bytes", lambda v: v[salt]["answer_text"].update(salt=to_base64(bytes(31))))
    made.changed(
        "charter-file-outside",
        reason,
        "a name that leads out of the folder",
        lambda v: v.update(charter={"../../etc/passwd": ""}),
    )
    made.changed(
        "newest-timestamp-in-the-bundle",
        reason,
        "timestamp.json may be another edition's",
        lambda v: v.update(charter={"metadata/timestamp.json": "{}"}),
    )
    reason = Reason.NOT_BASE64
    made.changed("salt-not-base64", reason, "another alphabet", lambda v: v[salt]["answer_text"].update(salt="!" * 44))
    made.changed(
        "salt-without-padding",
        reason,
        "RFC 4648 pads",
        lambda v: v[salt]["answer_text"].update(salt=v[salt]["answer_text"]["salt"].rstrip("=")),
    )
    made.changed(
        "salt-in-url-alphabet",
        reason,
        "- and _ are of another alphabet",
        lambda v: v[salt]["answer_text"].update(salt="-_" * 21 + "-8="),
    )
    made.changed(
        "salt-with-idle-bits",
        reason,
        "the last digit has bits set that say nothing",
        lambda v: v[salt]["answer_text"].update(salt="A" * 42 + "B="),
    )


def _rewritten(value: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> None:
    inner = envelope(value)
    change(inner)
    value["envelope"] = rfc8785.dumps(inner).decode()


def _envelope(made: Broken) -> None:
    reason = Reason.ENVELOPE_FORM

    def text(name: str, about: str, change: Callable[[str], str]) -> None:
        made.changed(name, reason, about, lambda v: v.update(envelope=change(v["envelope"])))

    def inner(name: str, about: str, change: Callable[[dict[str, Any]], object], why: Reason = reason) -> None:
        made.changed(name, why, about, lambda v: _rewritten(v, change))

    text("envelope-with-a-space", "another writing has another digest", lambda t: t.replace(":", ": ", 1))
    text(
        "envelope-reordered",
        "payloadType before payload",
        lambda t: json.dumps(dict(reversed(list(json.loads(t).items()))), separators=(",", ":")),
    )
    text("envelope-duplicate-key", "two payloads", lambda t: t.replace("{", '{"payload":"",', 1))
    text("envelope-not-json", "no JSON", lambda t: t[:-1])
    inner("envelope-unknown-field", "a field that no envelope has", lambda e: e.update(x=1))
    inner("envelope-two-signatures", "a receipt has one", lambda e: e["signatures"].append(e["signatures"][0]))
    inner("envelope-no-signature", "a receipt has one", lambda e: e["signatures"].clear())
    inner("envelope-other-payload-type", "no in-toto statement", lambda e: e.update(payloadType="text/plain"))
    inner(
        "payload-not-base64", "another alphabet", lambda e: e.update(payload="*" + e["payload"][1:]), Reason.NOT_BASE64
    )
    inner(
        "signature-in-hexadecimal",
        "base64 is what stands here",
        lambda e: e["signatures"][0].update(sig="0g" * 64 + "!"),
        Reason.NOT_BASE64,
    )


def _signature(made: Broken) -> None:
    other = world.signed(signer=world.OTHER_SIGNER)
    wrong = Reason.WRONG_SIGNATURE

    def resign(value: dict[str, Any], signature: bytes) -> None:
        _rewritten(value, lambda e: e["signatures"][0].update(sig=to_base64(signature)))

    def payload(value: dict[str, Any]) -> bytes:
        return base64.b64decode(envelope(value)["payload"])

    made.changed("key-not-a-key", Reason.BAD_KEY, "no key's text", lambda v: v.update(key="ed25519:00"))
    made.changed(
        "key-in-capitals",
        Reason.BAD_KEY,
        "a key has one text",
        lambda v: v.update(key="ed25519:" + v["key"][8:].upper()),
    )
    made.changed(
        "key-of-small-order",
        Reason.BAD_KEY,
        "one signature would fit many statements",
        lambda v: v.update(key=SMALL_ORDER),
    )
    made.changed(
        "key-of-somebody-else", Reason.UNKNOWN_KEY, "the envelope names another key", lambda v: v.update(key=other.key)
    )
    made.add(
        "key-not-trusted",
        Reason.UNKNOWN_KEY,
        "the reader trusts another key only",
        small_data(),
        replace(PINNED, keys=(other.key,)),
    )
    made.changed("signature-edited", wrong, "one bit of it", lambda v: resign(v, bytes(64)))
    made.changed(
        "signature-of-another-key",
        wrong,
        "signed by somebody else under this key's id",
        lambda v: resign(v, world.OTHER_SIGNER._private.sign(pre_authentication_encoding(payload(v)))),
    )
    made.changed(
        "signature-without-its-type",
        wrong,
        "the payload alone was signed, not DSSE's PAE",
        lambda v: resign(v, world.SIGNER._private.sign(payload(v))),
    )
    made.changed("signature-too-short", wrong, "63 bytes", lambda v: resign(v, bytes(63)))
    made.changed(
        "statement-edited",
        wrong,
        "another temperature than the one that was signed",
        lambda v: _rewritten(v, lambda e: e.update(payload=to_base64(payload(v).replace(b'"0.7"', b'"0.9"')))),
    )


STEPS = (_json, _fields, _envelope, _signature)
