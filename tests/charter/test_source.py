"""The charter's folder is read as it is meant, however it is written; docs/spec/charter.md says so too."""

import hashlib
import re
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commun.charter.clauses import CLAUSES, Bounds, ModelFile, Profile, Texts, clause_digest, clause_value
from commun.charter.errors import CharterMistakes
from commun.charter.refused_settings import REFUSED
from commun.charter.source import (
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_TOTAL_BYTES,
    read_charter,
)
from commun.charter.source_mistakes import MAX_MISTAKES
from commun.charter.source_model import digest_of
from commun.charter.source_schema import CHARTER_KEYS, MODEL_KEYS
from commun.engine.manifest import FileEntry, Manifest
from source_example import EXAMPLES, GOLDEN, SPECIFICATION, changed, sentences, told


class TestWhatIsRead:
    def test_the_specification_s_own_example_is_a_charter(self):
        charter = read_charter(GOLDEN)
        assert charter.name == "The town's assistant"
        assert charter.mandate.until == date(2027, 11, 22)
        assert charter.board.quorum == 2
        assert [member.name for member in charter.board.members] == ["Anne Martin", "Benoît Leroy"]
        assert charter.entrenched.clauses == ("board.quorum", "disclosure", "purpose")
        assert charter.prompts.system == Texts("You are an assistant.", "Vous êtes un assistant.")
        assert charter.persona("editor").prompt.fr == "Soyez bref."
        assert charter.sampling.profile is Profile.EXACT
        assert charter.sampling.temperature == Bounds(Decimal("0.3"), Decimal(0), Decimal("1.5"))
        assert charter.sampling.max_tokens.most == Decimal(8192)
        assert charter.sources.allowed == ("documents",)
        assert [model.id for model in charter.models.adopted] == ["default", "large"]
        assert charter.models.get("default").files == (ModelFile("model.gguf", 98_000_000, "0" * 64),)
        assert charter.models.get("large").digest == ""

    def test_its_sampling_clause_has_the_digest_of_the_specification(self):
        assert f"`{clause_digest(read_charter(GOLDEN), 'sampling')}`" in SPECIFICATION

    def test_every_number_of_the_sampling_clauses_is_a_decimal(self):
        sampling = read_charter(GOLDEN).sampling
        for bounds in (sampling.temperature, sampling.top_p, sampling.max_tokens):
            assert {type(bounds.default), type(bounds.least), type(bounds.most)} == {Decimal}

    def test_a_charter_without_personas_is_one(self):
        files = {name: data for name, data in GOLDEN.items() if "editor" not in name}
        text = GOLDEN["charter.toml"].decode()
        start, end = text.index("[[personas]]"), text.index("[models]")
        assert read_charter({**files, "charter.toml": (text[:start] + text[end:]).encode()}).personas == ()

    def test_a_charter_without_audits_is_one_and_draws_none(self):
        """As charters were before there was the clause: same values, same digests."""
        without = read_charter(changed("charter.toml", "[audit]\nsample_rate = 0.01\n", ""))
        zero = read_charter(changed("charter.toml", "sample_rate = 0.01", "sample_rate = 0.0"))
        assert without == zero
        assert clause_value(without, "audit") == {"sample_rate": "0"}
        assert clause_digest(without, "audit") == clause_digest(zero, "audit")

    def test_a_hold_is_read_and_a_charter_without_one_has_the_digests_that_it_had_before_there_was_one(self):
        held = read_charter(changed("charter.toml", "days = 365", "days = 365\nhold_until = 2027-11-22"))
        assert held.retention.hold_until == date(2027, 11, 22)
        assert clause_value(held, "retention") == {"days": 365, "hold_until": "2027-11-22"}
        assert clause_value(held, "retention.hold_until") == "2027-11-22"
        free = read_charter(GOLDEN)
        assert clause_value(free, "retention") == {"days": 365}
        assert clause_digest(free, "retention") == hashlib.sha256(b'{"days":365}').hexdigest()
        assert clause_digest(free, "retention.hold_until") == hashlib.sha256(b"null").hexdigest()
        assert clause_digest(free, "retention.days") == clause_digest(held, "retention.days")

    def test_the_model_s_digest_follows_the_engine_s_rule(self):
        entries = [("b/é.bin", 3, "1" * 64), ("a.bin", 0, "2" * 64)]
        manifest = Manifest(
            id="m",
            name="M",
            family="qwen3",
            context_length=4096,
            licence="MIT",
            source="x",
            files=tuple(FileEntry(*entry) for entry in entries),
            format="openvino",
        )
        assert digest_of("openvino", "qwen3", 4096, [ModelFile(*entry) for entry in entries]) == manifest.digest

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("[purpose]", "# a remark\n\n\t[ purpose ] # and another"),
            ("default = 0.3", "default = 3_0e-2"),
            ("default = 0.95", "default = 0.950_0"),
            ("least = 0\n", "least = -0.0\n"),
            ("most = 8192", "most = 0x2000"),
            ('["purpose", "board.quorum", "disclosure"]', '[\n  "disclosure",\n  "board.quorum",\n  "purpose",\n]'),
            ('["Anne Martin", "Benoît Leroy"]', '["Benoît Leroy", "Anne Martin"]'),
            ("[mandate]\nuntil = ", "[mandate]\n'until' = "),
            ('fr = "Rédaction"', 'fr = """\\\n   R\\u00e9daction"""'),
            ("Be short.", "Be short."),
        ],
    )
    def test_another_way_to_write_it_changes_no_clause(self, old, new):
        file = "charter.toml" if old in GOLDEN["charter.toml"].decode() else "prompts/editor.en.md"
        before, after = read_charter(GOLDEN), read_charter(changed(file, old, new))
        assert after == before
        assert [clause_digest(after, name) for name in CLAUSES] == [clause_digest(before, name) for name in CLAUSES]

    def test_windows_line_ends_change_no_clause(self):
        files = {name: data.replace(b"\n", b"\r\n") for name, data in GOLDEN.items()}
        assert read_charter(files) == read_charter(GOLDEN)

    def test_the_order_of_a_model_s_files_and_versions_changes_no_clause(self):
        two = '\n[[files]]\npath = "%s"\nsize = 1\nsha256 = "%s"\n'
        head = EXAMPLES[1].split("[converted]")[0]
        digest = digest_of(
            "gguf-converted", "llama", 8192, [ModelFile(n, 1, h * 64) for n, h in (("a", "1"), ("b", "2"))]
        )
        head = re.sub(r'digest = ".*"', f'digest = "{digest}"', head)
        versions = [f'"2026.{number}" = "{"3" * 64}"\n' for number in (1, 2)]
        parts = [two % ("a", "1" * 64), two % ("b", "2" * 64)]
        first = head + "[converted]\n" + "".join(versions) + "".join(parts)
        second = head + "[converted]\n" + "".join(reversed(versions)) + "".join(reversed(parts))
        read = [read_charter({**GOLDEN, "models/default.toml": text.encode()}) for text in (first, second)]
        assert read[0] == read[1]


class TestTheSpecification:
    """docs/spec/charter.md cannot rot: its tables are held against the schema."""

    @pytest.mark.parametrize("keys", [CHARTER_KEYS, MODEL_KEYS])
    def test_each_key_stands_there_with_its_kind_and_bounds(self, keys):
        for key in keys:
            bounds = "names of clauses" if key.choices == tuple(CLAUSES) else key.bounds()
            row = f"| `{key.path}` | {key.kind} | {bounds} | "
            assert row in SPECIFICATION, row
            line = SPECIFICATION[SPECIFICATION.index(row) :].partition("\n")[0]
            assert line.endswith("(may be left out) |") is not key.required

    def test_it_names_no_key_that_there_is_not(self):
        rows = re.findall(r"(?m)^\| `([^`]+)` \|", SPECIFICATION.partition("## Published form")[0])
        assert sorted(rows) == sorted(key.path for key in (*CHARTER_KEYS, *MODEL_KEYS))

    def test_it_names_every_setting_that_is_refused_beside_its_reason(self):
        rows = dict(re.findall(r"(?m)^\| ([^|]+) \| ([^|]+) \|$", SPECIFICATION))
        for name, reason in REFUSED.items():
            assert f"`{name}`" in rows[reason].split(", "), name

    def test_it_names_every_clause(self):
        listed = re.search(r"clauses that can be entrenched: (.*)\.", SPECIFICATION)[1]
        assert listed == ", ".join(f"`{name}`" for name in CLAUSES)

    def test_its_bounds_are_the_code_s(self):
        text = " ".join(SPECIFICATION.split())
        assert f"At most {MAX_FILES} files, of {MAX_FILE_BYTES >> 10} KiB each and {MAX_TOTAL_BYTES >> 20} MiB" in text
        assert f"({MAX_MISTAKES} at most)" in text

    def test_its_example_of_mistakes_is_what_is_told(self):
        files = changed("charter.toml", "caller_seed", "caller_sead")
        files["charter.toml"] = files["charter.toml"].replace(b"quorum = 2", b"quorum = 3")
        del files["prompts/editor.fr.md"]
        lines = []
        for file, line, problem, cure in told(files):
            lines.append(f"{file}:{line}: {problem} {cure}" if line else f"{file}: {problem} {cure}")
        assert "\n".join(lines) in SPECIFICATION


# Whatever the bytes, only CharterMistakes comes out

pieces = st.one_of(
    st.binary(max_size=30),
    st.sampled_from(
        [b"\n[board]\n", b"\n[[files]]\n", b"= 1", b'"""', b"{a=", b"[[[", b"1e9", b"-nan", b"\xff", b"\r"]
    ),
    st.sampled_from(["\u202e", "\ufeff", "\ud7ff", "\U0010ffff"]).map(str.encode),
)


@st.composite
def broken(draw):
    """The golden charter with one file cut up, replaced or mixed with anything."""
    name = draw(st.sampled_from(sorted(GOLDEN)))
    data = GOLDEN[name]
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        data = data[:start] + draw(pieces) + data[draw(st.integers(start, min(len(data), start + 30))) :]
    return {**GOLDEN, name: draw(st.one_of(st.just(data), st.binary(max_size=200)))}


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=300)
@given(broken())
def test_any_bytes_make_a_charter_or_mistakes(files):
    mistakes, charter = (), None
    try:
        charter = read_charter(files)
    except CharterMistakes as error:
        mistakes = sentences(error)
    assert mistakes or charter
    assert charter is None or {name: clause_digest(charter, name) for name in CLAUSES}
    for file, line, *texts in mistakes:
        assert line <= files.get(file, b"").count(b"\n") + 1
        assert all(texts)


values = st.sampled_from(
    [
        "1",
        "-1",
        "true",
        '""',
        '"x"',
        "[]",
        "{}",
        "[{}]",
        "[[]]",
        "1.5",
        "nan",
        "inf",
        "2000-01-01",
        "07:32:00",
        "[1]",
        "2000-01-01T00:00:00Z",
        "9" * 99,
        "1e999999999",
        "{ en = 1 }",
        '[{ id = 1, name = "x" }]',
        "'''\n'''",
        '[""]',
    ]
)
keys = st.sampled_from([(key, "charter.toml") for key in CHARTER_KEYS])
model_keys = st.tuples(st.sampled_from(MODEL_KEYS), st.sampled_from(["models/default.toml", "models/large.toml"]))


@settings(deadline=None, max_examples=300)
@given(st.one_of(keys, model_keys), values)
def test_any_value_under_any_key_makes_a_charter_or_mistakes(place, value):
    key, file = place
    text = GOLDEN[file].decode()
    top, *rest = key.path.replace("[]", "").split(".")
    without = re.sub(rf"(?m)^{top} = .*\n", "", text)
    without = re.sub(rf"(?ms)^\[+{top}[\].].*?(?=^\[|\Z)", "", without)
    whole = re.sub(rf"(?m)^{key.name} = .*$", lambda _: f"{key.name} = {value}", text)
    for candidate in (f"{'.'.join((top, *rest))} = {value}\n{without}", f"{top} = {value}\n{without}", whole):
        try:
            charter = read_charter({**GOLDEN, file: candidate.encode()})
        except CharterMistakes as error:
            charter = None
            filled = sentences(error)
        assert charter or filled
