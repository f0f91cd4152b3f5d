"""One charter, with each value that lies at a corner of the rules in its place: names, paths, addresses, keys, numbers."""

import itertools
import random
from collections.abc import Iterator
from typing import Any

from charter_folders import (
    BAD_KEYS,
    DIGESTS,
    KEYS,
    LINKS,
    NUMBERS,
    PATHS,
    PEOPLE,
    TEXTS,
    URLS,
    VERSIONS,
    Raw,
    ed25519_text,
    trees_of,
    written,
)
from commun.charter.clauses import ModelFile
from commun.charter.source_model import digest_of

NUMBER_PLACES = (
    (("sampling", "temperature"), "most"),
    (("sampling", "top_p"), "least"),
    (("sampling", "max_tokens"), "most"),
    (("retention",), "days"),
    (("retention",), "hold_until"),
    (("audit",), "sample_rate"),
    (("mandate",), "until"),
    (("callers",), "ignore_eos"),
    (("tools",), "allowed"),
)
Place = tuple[str, tuple[str | int, ...], Any]


def corners() -> Iterator[dict[str, bytes]]:
    """One charter, with each value of the pools in the places where it matters, alone or in pairs."""
    places = [(PEOPLE, _two_members), (PATHS, _two_files), (VERSIONS, _versions)]
    single = [(KEYS + BAD_KEYS, _member_key), (URLS, _address), (LINKS, _link), (TEXTS, _texts), (DIGESTS, _digest)]
    for pool, place in places:
        for one, other in itertools.combinations(pool, 2):
            yield from _each(place(one, other))
    for pool, place in single:
        for value in pool:
            yield from _each(place(value))
    for number, (part, name) in itertools.product(NUMBERS, NUMBER_PLACES):
        yield from _each([("charter.toml", (*part, name), Raw(number))])


def _each(places: list[Place]) -> Iterator[dict[str, bytes]]:
    chance = random.Random(0)
    trees = trees_of(chance)
    charter = trees["charter.toml"]
    charter["personas"], charter["prompts"] = [], {"language": "en", "persona": ""}
    trees = {name: tree for name, tree in trees.items() if isinstance(tree, dict) or "system" in name}
    if any(way == ("personas",) for _, way, _ in places):
        trees |= {f"prompts/editor.{language}.md": b"Be short." for language in ("en", "fr")}
    local = {
        "id": "x",
        "name": "X",
        "family": "llama",
        "context_length": Raw("1"),
        "format": "openvino",
        "licence": "l",
    }
    far = {**local, "id": "far", "format": "remote", "source": "s", "url": "http://m", "remote_model": "m"}
    trees |= {"models/x.toml": {**local, "source": "s", "digest": ""}, "models/far.toml": far}
    charter["board"]["members"] = [{"name": "Zoé", "key": KEYS[0]}, {"name": "Yan", "key": KEYS[1]}]
    charter["board"]["quorum"] = Raw("1")
    charter["entrenched"] = {"clauses": [], "guards": []}
    charter["audit"] = {"sample_rate": Raw("0")}
    charter["mandate"]["until"], charter["retention"] = Raw("2027-11-22"), {"days": Raw("365")}
    charter["sampling"]["temperature"] = {name: Raw("0") for name in ("default", "least", "most")}
    charter["sampling"]["top_p"] = {name: Raw("1") for name in ("default", "least", "most")}
    charter["sampling"]["max_tokens"] = {name: Raw("1") for name in ("default", "least", "most")}
    trees["models/x.toml"]["files"] = [{"path": name, "size": Raw("1"), "sha256": "ab" * 32} for name in ("f", "g")]
    for file, way, value in places:
        holder = trees[file]
        for part in way[:-1]:
            holder = holder[part]
        holder[way[-1]] = value
    own = trees["models/x.toml"]
    files = [ModelFile(file["path"], 1, file["sha256"]) for file in own["files"]]
    own["digest"] = own["digest"] or digest_of(own["format"], "llama", 1, files)
    yield {name: tree if isinstance(tree, bytes) else written(chance, tree) for name, tree in trees.items()}


def _two_members(one: str, other: str) -> list[Place]:
    way = ("board", "members")
    return [("charter.toml", (*way, 0, "name"), one), ("charter.toml", (*way, 1, "name"), other)]


def _two_files(one: str, other: str) -> list[Place]:
    return [("models/x.toml", ("files", 0, "path"), one), ("models/x.toml", ("files", 1, "path"), other)]


def _versions(one: str, other: str) -> list[Place]:
    return [("charter.toml", ("software", "least"), one), ("charter.toml", ("software", "below"), other)]


def _member_key(text: str) -> list[Place]:
    return [("charter.toml", ("board", "members", 0, "key"), text)]


def _address(url: str) -> list[Place]:
    return [("models/far.toml", ("url",), url)]


def _link(url: str) -> list[Place]:
    return [("models/far.toml", ("training_summary",), url)]


def _texts(text: str) -> list[Place]:
    ways: tuple[tuple[str, ...], ...] = (("name",), ("purpose", "en"), ("disclosure", "fr"), ("witnesses", "policy"))
    return [("charter.toml", ways[len(text) % 4], text)]


def _digest(text: str) -> list[Place]:
    return [("models/x.toml", ("converted",), {"1.0": text}), ("models/x.toml", ("format",), "gguf-converted")]


# What belongs together


def versions(count: int) -> dict[str, str]:
    return {f"1.{number}": "ab" * 32 for number in range(count)}


def together() -> Iterator[dict[str, bytes]]:
    """Each rule that no single value shows, broken and just not broken; then files that should not be, or not so."""
    charter, own, far = "charter.toml", "models/x.toml", "models/far.toml"
    editor = {"id": "editor", "name": {"en": "A", "fr": "B"}, "about": {"en": "A", "fr": "B"}}
    with_editor: Place = (charter, ("personas",), [editor])
    guarded = {"clauses": ["prompts"], "guards": ["Zoé"]}
    people = [{"name": f"M{number}", "key": ed25519_text(number)} for number in range(61)]
    files_of_a_model = [{"path": f"f{number}", "size": Raw("1"), "sha256": "ab" * 32} for number in range(1001)]
    kind: Place = (own, ("format",), "gguf-converted")
    converted: Place = (own, ("converted",), {"1.0": "ab" * 32})
    changes: list[list[Place]] = [
        *([(charter, ("board", "quorum"), Raw(quorum))] for quorum in ("2", "3")),
        *(
            [(charter, ("entrenched",), {"clauses": ["name"], "guards": each})]
            for each in ([], ["Zoé"], ["zoé"], ["Nobody"])
        ),
        *([(charter, ("entrenched",), {"clauses": [], "guards": each})] for each in (["Yan"], ["Yan", "Yan"])),
        [with_editor],
        [with_editor, (charter, ("entrenched",), guarded)],
        [with_editor, (charter, ("entrenched",), {**guarded, "clauses": ["personas", "prompts"]})],
        [(charter, ("entrenched",), guarded)],
        [with_editor, (charter, ("prompts", "persona"), "editor")],
        [(charter, ("prompts", "persona"), "editor")],
        [(charter, ("personas",), [editor, editor])],
        *([(charter, ("board", "members"), people[:count])] for count in (0, 60, 61)),
        *([(charter, ("tools", "allowed"), [f"t{number}" for number in range(count)])] for count in (100, 101)),
        *([(own, ("files",), files_of_a_model[:count])] for count in (1000, 1001)),
        *([kind, (own, ("converted",), versions(count))] for count in (100, 101)),
        *(
            [kind, (own, ("converted",), value)]
            for value in ([], "x", {"v1": "ab" * 32}, {"1": Raw("1")}, {"1": ["ab" * 32]})
        ),
        *([(charter, ("board", "members"), value)] for value in ("x", {}, [[]], ["x"], [people[0], "x"])),
        *([(charter, ("sampling", part, "default"), Raw("2"))] for part in ("temperature", "max_tokens")),
        [(charter, ("sampling", "top_p", "default"), Raw("0.999999"))],
        *([(charter, ("context", "answer_reserve"), Raw(tokens))] for tokens in ("131071", "131072", "131073")),
        *(
            [(charter, ("retention", "hold_until"), Raw(day))]
            for day in ("2000-01-01", "1999-12-31", "2027-11-21", "2027-11-22", "2027-11-23", '"2027-11-22"', '""')
        ),
        *([(charter, ("models", "default"), name)] for name in ("x", "far", "nobody")),
        [(own, ("files",), []), (own, ("digest",), digest_of("openvino", "llama", 1, []))],
        *([(own, (name,), "x")] for name in ("url", "remote_model", "digest", "id")),
        [converted],
        [converted, kind],
        *([(far, (name,), "")] for name in ("url", "remote_model", "digest")),
        [(far, ("digest",), "ab" * 32)],
        [(far, ("files",), [{"path": "f", "size": Raw("1"), "sha256": "ab" * 32}])],
        [(far, ("converted",), {"1.0": "ab" * 32})],
    ]
    for places in changes:
        yield from _each(places)
    (alone,) = _each([])
    text = alone["charter.toml"].replace(b"personas = []\n", b"")
    yield {**alone, "charter.toml": text}
    persona = b'\n[[personas]]\nid = "system"\nname = {en = "A", fr = "B"}\nabout = {en = "A", fr = "B"}\n'
    yield {**alone, "charter.toml": text + persona}
    (files,) = _each([with_editor])
    for name in files:
        yield {other: data for other, data in files.items() if other != name}
        yield {**files, name: files[name] + "# \u200b".encode()}
        yield {**files, name: files[name] + b"# \xff"}
        yield {**files, name: files[name].ljust(256 << 10)}
        yield {**files, name: files[name].ljust((256 << 10) + 1)}
        yield {**files, name: b" \n"}
    for name in (
        "README",
        "prompts/poet.en.md",
        "prompts/editor.de.md",
        "Prompts/editor.en.md",
        "models/" + "x" * 64 + ".toml",
    ):
        yield {**files, name: files["models/x.toml"]}
    many = {
        f"models/m{number}.toml": files["models/x.toml"].replace(b'"x"', b'"m%d"' % number, 1) for number in range(260)
    }
    for count in (255 - len(files), 256 - len(files), 257 - len(files)):
        yield {**files, **dict(list(many.items())[:count])}
    heavy = {name: data.ljust(256 << 10) for name, data in many.items()}
    yield {**files, **dict(list(heavy.items())[:15])}
    yield {**files, **dict(list(heavy.items())[:16])}
