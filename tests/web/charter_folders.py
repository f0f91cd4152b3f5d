"""Charters' folders for comparing two readers: random ones that hold, and the same with a few things changed.

What holds is written in every form that TOML has for it; what is changed is a value, a name, a line or a file. The same
ones each time: one seed.
"""

import base64
import hashlib
import random
from collections.abc import Iterator
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from commun.charter.clauses import CLAUSES, ModelFile
from commun.charter.source_model import digest_of
from toml_documents import edited


class Raw(str):
    """A value as it is written."""

    __slots__ = ()


def ed25519_text(number: int) -> str:
    secret = hashlib.sha256(b"folder %d" % number).digest()
    return "ed25519:" + Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw().hex()


def ecdsa_text(number: int, shape: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> str:
    public = derive_private_key(number, SECP256R1()).public_key()
    encoding = Encoding.DER if shape is PublicFormat.SubjectPublicKeyInfo else Encoding.X962
    return "ecdsa-p256:" + base64.b64encode(public.public_bytes(encoding, shape)).decode()


KEYS = tuple(ed25519_text(number) for number in range(6)) + tuple(ecdsa_text(number) for number in range(1, 4))
BAD_KEYS = (
    *(ecdsa_text(9)[:-4], ecdsa_text(9)[:-1], ecdsa_text(9) + "\n", ecdsa_text(9, PublicFormat.CompressedPoint), ecdsa_text(9).replace("A", "B", 1)),
    *("ecdsa-p256:", "ecdsa-p256:" + base64.b64encode(base64.b64decode(ecdsa_text(9)[11:])[:-1] + b"\1").decode(), "ecdsa-p256:" + "A" * 300),
    *("ed25519:", "ed25519:" + "0" * 64, "ed25519:01" + "0" * 62, "ed25519:02" + "0" * 62, "ed25519:" + "f" * 64, KEYS[0].upper(), "rsa:" + KEYS[0][8:], KEYS[0] + "0"),
    *(f"ed25519:ed{'f' * 60}7f", f"ed25519:ec{'f' * 60}ff", "ed25519:26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", f"ed25519:01{'0' * 60}80"),
)  # fmt: skip
PEOPLE = ("Anne", "ANNE", "\uff21nne", "Benoît", "Benoi\u0302t", "Straße", "STRASSE", "STRA\u1e9eE", "\u0131", "I", "i", "\u0130", "ΣΑΣ", "σας", "\ufb01n", "FIN", "\u13a0", "\uab70", "\u1e9b\u0323", "\U00010400", "\U00010428", "\u01c4", "\u01c5", "\u1fb3", "\u1fbc", "\u0345", "ι", "µ", "μ")  # fmt: skip
PATHS = ("model.gguf", "Model.GGUF", "a/b", "a/B", "../x", "a//b", "a.", "a ", ".hidden", "a/./b", "a/.../b", "c:x", "a*b", "é", "e\u0301", "a\u00a0b", "\ue000", "a\\b", "a|b", "ß", "SS", "a b", "/a", "a/", "\U0001f600", "\u3000", "\u0378")  # fmt: skip
URLS = ("https://m.example/v1", "HTTP://m", "http://m:80", "http://m:", "http://m:0", "http://m:00", "http://m:65536", "http://m:65535/x?y#z", "http://m:8a", "http://", "http:///x", "ftp://m", "http:m", "http://u@m", "http://m/ x", "http://[::1]:80/", "http://[::1", "http://[1.2.3.4]", "http://[::1.2.3.4]", "http://[1:2:3:4:5:6:7:8]", "http://[1:2:3:4:5:6:7::]", "http://[1:2:3:4:5:6:7:8:9]", "http://[::1%25e]", "http://[::01.2.3.4]", "http://[::256.1.1.1]", "http://[v1.x]", "http://[:::]", "http://[1::2::3]", "http://[12345::]", "http://a[::1]", "http://[::1]b", "http://é", "http://m?x", "http://m#x", "http://m:80:80", "http://%41", "https://m/{x}", "", " ", "https://[]", "https://[:1::]", "https://[1:2:3:4:5:6:7:1.2.3.4]", "https://[1:2:3:4:5:6:1.2.3.4]")  # fmt: skip
TEXTS = ("", " ", "\t", "a\nb", "a\tb", " a", "a ", "\na", "a\u0085", "\u200b", "\u00a0a", "a\u3000", "\u2028", "\ufeffa", "a\u00ad", "\U000e0041", "\u180e", "\u1680", "\u202f", "x", "0.1", "é" * 60, "\U0001d538" * 80, "x" * 61, "x" * 80, "x" * 81, "x" * 120, "x" * 121, "x" * 200, "x" * 201, "x" * 400, "x" * 401, "y " * 500, "y " * 501, "y " * 2000, "y" * 4001, "y" * 16384, "y" * 16385, "__proto__", "constructor", "system", "en", "exact", "remote")  # fmt: skip
NUMBERS = ("0", "1", "-1", "2", "60", "61", "0x10", "1_000", "2147483647", "2147483648", "2147483649", "36500", "36501", "9007199254740991", "9007199254740992", "0.000001", "0.0000001", "0.70", "1.0", "1.000000000", "1.0000000001", "2.0", "2.000001", "-0.0", "1e0", "20e-1", "0e5", "0e999999999999999999", "0e1000000000000000000", "0.0e-1999999999999999997", "0.0e-1999999999999999996", "1e-6", "1e-7", "10e-7", "1e30", "1e-9999999999999999999", "nan", "inf", "1_0.5e-1", "true", "false", "2027-11-22", "1999-12-31", "2000-01-01", "2199-12-31", "2200-01-01", "2027-11-22T00:00:00Z", "07:00:00", "[]", "{}", '""', "[1]", '["a"]', "[[]]", "[{}]", "+5", "-0", "0." + "5" * 98, "0.5" + "0" * 98)  # fmt: skip
VERSIONS = ("0", "0.1", "0.1.0", "1", "1.0", "01", "1.2.3.4", "1.2.3.4.5", "999999", "1000000", "1.", ".1", "v1", "1.0rc1", "1.00", "0.0", "10", "9", "1.10", "1.9", "٣")  # fmt: skip
TOOLS = (
    "search",
    "Web/Search",
    "a.b-c_d",
    "_x",
    "-x",
    ".x",
    "a b",
    "é",
    "x" * 128,
    "x" * 129,
    "Z",
    "a",
    "B",
    "/x",
    "9",
)
LINKS = (
    "",
    "https://c.example",
    "http://x",
    "https://",
    "ftp://x",
    "https://a b",
    "https://a\u00a0b",
    "https://" + "x" * 1992,
    "HTTPS://x",
    "https://é",
)
DIGESTS = ("ab" * 32, "AB" * 32, "ab" * 31, "", "zz" * 32)
IDS = ("editor", "poet", "a", "x-1", "-x", "X", "system", "a.b", "x" * 32, "x" * 33, "0")


def folders(seed: int, count: int) -> Iterator[dict[str, bytes]]:
    chance = random.Random(seed)
    for number in range(count):
        trees = trees_of(chance)
        changes = (0, 0, 1, 1, 1, 2)[number % 6]
        for _ in range(changes):
            _change_tree(chance, trees)
        files = {name: tree if isinstance(tree, bytes) else written(chance, tree) for name, tree in trees.items()}
        if number % 12 == 11:
            _change_file(chance, files)
        yield files


def trees_of(chance: random.Random) -> dict[str, Any]:
    """Files by name: prompts as bytes, the others as trees of values."""
    people = chance.sample(("Anne", "Benoît", "Chloé", "Dara", "Élise"), chance.randint(1, 4))
    keys = chance.sample(KEYS, len(people))
    personas = chance.sample(("editor", "poet", "a", "x-1"), chance.randint(0, 2))
    models = chance.sample(("default", "large", "a", "a-b", "a.b", "x.toml"), chance.randint(1, 3))
    clauses = chance.sample(sorted(CLAUSES), chance.randint(0, 4))
    if personas and "prompts" in clauses and "personas" not in clauses:
        clauses.append("personas")
    trees: dict[str, Any] = {
        "charter.toml": _charter_tree(
            chance, people=people, keys=keys, personas=personas, models=models, clauses=clauses
        )
    }
    for model in models:
        trees[f"models/{model}.toml"] = _model_tree(chance, model)
    for prompt in ("system", *personas):
        for language in ("en", "fr"):
            space = chance.choice(("", "\n", " \r\n\t", "\u00a0\u3000"))
            trees[f"prompts/{prompt}.{language}.md"] = f"{space}You are {prompt}. \U0001f600{space}".encode()
    return trees


def _charter_tree(
    chance: random.Random,
    *,
    people: list[str],
    keys: list[str],
    personas: list[str],
    models: list[str],
    clauses: list[str],
) -> dict[str, Any]:
    def both(*texts: str) -> dict[str, str]:
        return {"en": chance.choice(texts), "fr": chance.choice(texts)}

    def flag() -> Raw:
        return Raw(chance.choice(("true", "false")))

    def bounds(*values: str) -> dict[str, Raw]:
        least, default, most = values
        return {"default": Raw(default), "least": Raw(least), "most": Raw(most)}

    until = chance.choice(("2027-11-22", "2000-01-01", "2199-12-31"))
    hold = {"hold_until": Raw(chance.choice(("2000-01-01", until)))} if chance.random() < 0.4 else {}
    tree: dict[str, Any] = {
        "format": "commun-charter/1",
        "name": chance.choice(("Town", "The town's “assistant”", 'a "b" \\ c', "x" * 120, "\U0001f600" * 60)),
        "purpose": both("To help.", "Aider.\nAussi.", "  spaces around \n", "é" * 4000),
        "mandate": {"until": Raw(until)},
        "board": {
            "quorum": Raw(str(chance.randint(1, len(people)))),
            "members": [{"name": name, "key": key} for name, key in zip(people, keys, strict=True)],
        },
        "entrenched": {"clauses": clauses, "guards": chance.sample(people, chance.randint(1, len(people)))},
        "prompts": {"language": chance.choice(("en", "fr")), "persona": chance.choice(("", *personas))},
        "models": {"default": chance.choice(models)},
        "sampling": {
            "profile": chance.choice(("exact", "fast")),
            "caller_seed": flag(),
            "temperature": bounds(*chance.choice((("0", "0.3", "1.5"), ("-0.0", "0.70", "2"), ("0.5", "50e-2", "0.500")))),
            "top_p": bounds(*chance.choice((("0.1", "0.95", "1"), ("0.000001", "1e-6", "1.0"), ("0.25", "2.5e-1", "1e0")))),
            "max_tokens": bounds(*chance.choice((("1", "1024", "8192"), ("0x1", "1_0", "2147483648")))),
        },
        "context": {"policy": "oldest-turns-first", "answer_reserve": Raw("512"), "most_tokens": Raw("131_072")},
        "callers": {name: flag() for name in ("system_messages", "plain_completions", "structured_output", "stop_strings", "ignore_eos")},
        "retention": {"days": Raw(chance.choice(("0", "365", "36500"))), **hold},
        "temporary": {"rule": chance.choice(("offered", "only", "never"))},
        **({"audit": {"sample_rate": Raw(chance.choice(("0", "0.01", "1", "5e-1")))}} if chance.random() < 0.7 else {}),
        "disclosure": both("An AI.", "Une IA :\n« ça » "),
        "sources": {"allowed": chance.sample(("web", "feeds", "documents"), chance.randint(0, 3))},
        "tools": {"allowed": chance.sample(("search", "Z", "a/b", "_x.y"), chance.randint(0, 4))},
        "software": {"least": chance.choice(("0", "0.1", "0.1.0")), "below": chance.choice(("1", "1.0", "0.1.0.1"))},
        "witnesses": {"policy": chance.choice(("", "log x\nquorum none\n", "  "))},
    }  # fmt: skip
    if personas or chance.random() < 0.3:
        tree["personas"] = [
            {"id": name, "name": both("A", "B"), "about": both("So.", "Ainsi,\nvoilà.")} for name in personas
        ]
    return tree


def _model_tree(chance: random.Random, model: str) -> dict[str, Any]:
    common = {
        "id": model,
        "name": f"Model {model}",
        "family": chance.choice(("llama", 'é"\\😀', "q w")),
        "context_length": Raw("8192"),
    }
    more = {"licence": "Apache-2.0", "source": "https://example.org/x"}
    if chance.random() < 0.5:
        more["training_summary"] = chance.choice(("", "https://c.example", "http://x"))
    if chance.random() < 0.3:
        empty = chance.choice(({}, {"digest": ""}, {"files": Raw("[]"), "converted": Raw("{}")}))
        return {**common, "format": "remote", **more, "url": chance.choice(URLS[:3]), "remote_model": "m", **empty}
    kind = chance.choice(("gguf-converted", "openvino"))
    paths = chance.sample(("model.gguf", "a/b", "é/ü.bin", ".hidden", "a b", "\U0001f600", "Z"), chance.randint(1, 3))
    files = [(path, chance.choice((0, 98_000_000, 2**53 - 1)), chance.choice(DIGESTS[:1])) for path in paths]
    digest = digest_of(kind, common["family"], 8192, [ModelFile(*file) for file in files])
    tree = {**common, "format": kind, **more, "digest": digest, "url": ""}
    if kind == "gguf-converted" and chance.random() < 0.7:
        tree["converted"] = dict.fromkeys(
            chance.sample(("2026.4.1.0", "1", "2026.10.0"), chance.randint(1, 3)), "ef" * 32
        )
    tree["files"] = [{"path": path, "size": Raw(str(size)), "sha256": sha256} for path, size, sha256 in files]
    return tree  # fmt: skip


# Changes


def _change_tree(chance: random.Random, trees: dict[str, Any]) -> None:
    tree = trees[chance.choice([name for name in trees if isinstance(trees[name], dict)])]
    holder, name = _place(chance, tree)
    kind = chance.random()
    if kind < 0.12 and isinstance(holder, dict):
        del holder[name]
    elif kind < 0.2 and isinstance(holder, dict):
        holder[chance.choice(("top_k", "__proto__", "x", "Name", "en", "id", "format"))] = chance.choice(
            (Raw("1"), "x", [])
        )
    elif kind < 0.28 and isinstance(holder, list):
        holder.append(holder[name])
    else:
        holder[name] = _other(chance, name, holder[name])


def _place(chance: random.Random, tree: dict[str, Any]) -> tuple[Any, Any]:
    holder: Any = tree
    while True:
        name = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        if not isinstance(holder[name], dict | list) or not holder[name] or chance.random() < 0.08:
            return holder, name
        holder = holder[name]


def _other(chance: random.Random, name: str | int, value: Any) -> Any:
    """Mostly of the same kind, and near a bound."""
    pools = {
        "key": (*BAD_KEYS, *KEYS),
        "path": PATHS,
        "url": URLS,
        "least": VERSIONS,
        "below": VERSIONS,
        "training_summary": LINKS,
    }
    if chance.random() < 0.1:
        return Raw(chance.choice(NUMBERS))
    if isinstance(value, Raw):
        return Raw(chance.choice(NUMBERS))
    pool = pools.get(str(name), {"digest": DIGESTS, "sha256": DIGESTS, "id": IDS, "persona": IDS}.get(str(name), TEXTS))
    if isinstance(name, int):
        pool = (*TOOLS, *PEOPLE, *CLAUSES, "documents")
    elif name == "name" and chance.random() < 0.7:
        pool = PEOPLE
    return chance.choice(pool)  # fmt: skip


def _change_file(chance: random.Random, files: dict[str, bytes]) -> None:
    name = chance.choice(sorted(files))
    match chance.randrange(8):
        case 0:
            del files[name]
        case 1:
            files[
                chance.choice(
                    (
                        "README",
                        "prompts/poet.en.md",
                        "prompts/x.de.md",
                        "models/x.toml",
                        "models/X.toml",
                        "charter.toml ",
                        "prompts/__proto__.en.md",
                        "x" * 129,
                    )
                )
            ] = files[name]
        case 2:
            files[name] += chance.choice(
                (
                    b"\xff",
                    b"\xc3",
                    b"\x00",
                    b"\xe2\x80\x8b",
                    b"\xf3\xa0\x81\x81",
                    b"\xed\xa0\x80",
                    b"\xc2\x85",
                    b"\r",
                    b"\r\n",
                )
            )
        case 3:
            files[name] = chance.choice(
                (b"", b" \n", b"\xef\xbb\xbf" + files[name], files[name] + b"\n#" + b"x" * (256 << 10))
            )
        case _:
            files[name] = edited(chance, files[name].decode(), tuple("\"'[]{}=.,#\n\t _-019aeT")).encode()  # fmt: skip


# Writing


def written(chance: random.Random, tree: dict[str, Any]) -> bytes:
    plain = {name: value for name, value in tree.items() if not isinstance(value, dict) and not _is_tables(value)}
    lines = [f"{_key(chance, name)} = {_value(chance, value)}" for name, value in plain.items()]
    chance.shuffle(lines)
    parts = [name for name in tree if name not in plain]
    chance.shuffle(parts)
    inline = [name for name in parts if chance.random() < 0.1]
    lines += [f"{_key(chance, name)} = {_value(chance, tree[name])}" for name in inline]
    for name in parts:
        if name not in inline:
            lines += _part(chance, _key(chance, name), tree[name])
    return (chance.choice(("\n", "\n", "\r\n")).join(lines) + chance.choice(("\n", ""))).encode()


def _part(chance: random.Random, way: str, value: Any) -> list[str]:
    """A table, or several, each with its header."""
    lines = []
    for each in value if isinstance(value, list) else [value]:
        lines.append(f"[[{way}]]" if isinstance(value, list) else f"[ {way} ] # a remark")
        later = [
            name for name in each if _is_tables(each[name]) or (isinstance(each[name], dict) and chance.random() < 0.4)
        ]
        for name in each:
            if name not in later:
                lines += _pair(chance, name, each[name])
        for name in later:
            lines += _part(chance, f"{way}.{_key(chance, name)}", each[name])
    return lines  # fmt: skip


def _pair(chance: random.Random, name: str, value: Any) -> list[str]:
    if isinstance(value, dict) and value and chance.random() < 0.5:
        return [f"{_key(chance, name)}.{_key(chance, inner)} = {_value(chance, each)}" for inner, each in value.items()]
    return [f"{_key(chance, name)} = {_value(chance, value)}{chance.choice(('', '', ' # x'))}"]


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _key(chance: random.Random, name: str) -> str:
    is_bare = name.replace("-", "").replace("_", "").isalnum() and name.isascii()
    return name if is_bare and chance.random() < 0.9 else f'"{name}"'


def _value(chance: random.Random, value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(chance, name)} = {_value(chance, each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + chance.choice((", ", ",\n  # x\n")).join(_value(chance, each) for each in value) + "]"
    return _text(chance, value)


def _text(chance: random.Random, value: str) -> str:
    form = chance.random()
    if form < 0.2 and "'" not in value and "\n" not in value:
        return f"'{value}'"
    if form < 0.3 and "'" not in value and "\r" not in value:
        return f"'''\n{value}'''"
    far = chance.random() < 0.2
    letters = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
    text = "".join(
        letters.get(letter)
        or (f"\\U{ord(letter):08x}" if far or (not letter.isprintable() and letter < "\xff") else letter)
        for letter in value
    )
    return f'"""{text}"""' if form < 0.4 else f'"{text}"'
