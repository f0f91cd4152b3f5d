"""Charters for tests: one example, and a Hypothesis strategy for valid ones (built directly, not read from files)."""

from dataclasses import fields, replace
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from commun.charter.clauses import (
    CLAUSES,
    SOURCES,
    Allowed,
    Audit,
    Board,
    Bounds,
    Callers,
    Charter,
    Context,
    Entrenched,
    Mandate,
    Member,
    Model,
    ModelFile,
    Models,
    Persona,
    Profile,
    Prompts,
    Retention,
    Sampling,
    Software,
    Temporary,
    TemporaryRule,
    Texts,
    Witnesses,
)


def member(name: str, number: int = 0) -> Member:
    return Member(name, "ed25519:" + f"{number or sum(map(ord, name)):064x}")


def model(model_id: str = "small", **fields: object) -> Model:
    plain = Model(
        id=model_id,
        name=model_id.title(),
        family="llama",
        context_length=8192,
        format="gguf-converted",
        licence="Apache-2.0",
        source="https://example.org/" + model_id,
        training_summary="https://example.org/summary",
        digest="ab" * 32,
        files=(ModelFile("model.gguf", 1000, "cd" * 32),),
        converted=(("2026.4.1.0", "ef" * 32),),
        url="",
        remote_model="",
    )
    return replace(plain, **fields)


def example(**clauses: object) -> Charter:
    """A small charter of a board of three; ``clauses`` replace its own."""
    charter = Charter(
        name="Commun",
        purpose=Texts("To help.", "Aider."),
        mandate=Mandate(date(2027, 6, 30)),
        board=Board(2, (member("Ada"), member("Basile"), member("Chloé"))),
        entrenched=Entrenched(("purpose", "sampling.profile"), ("Ada", "Basile")),
        prompts=Prompts("en", "", Texts("You are honest.", "Vous êtes honnête.")),
        personas=(
            Persona("wit", Texts("Wit", "Esprit"), Texts("Jokes.", "Plaisante."), Texts("Be funny.", "Soyez drôle.")),
        ),
        models=Models("small", (model("small"), model("large"))),
        sampling=Sampling(
            profile=Profile.EXACT,
            caller_seed=True,
            temperature=Bounds(Decimal("0.7"), Decimal(0), Decimal("1.5")),
            top_p=Bounds(Decimal("0.95"), Decimal("0.1"), Decimal(1)),
            max_tokens=Bounds(Decimal(512), Decimal(1), Decimal(2048)),
        ),
        context=Context("oldest-turns-first", 512, 8192),
        callers=Callers(
            system_messages=True, plain_completions=False, structured_output=True, stop_strings=True, ignore_eos=False
        ),
        retention=Retention(0),
        temporary=Temporary(TemporaryRule.OFFERED),
        audit=Audit(Decimal("0.01")),
        disclosure=Texts("This is a machine.", "Ceci est une machine."),
        sources=Allowed(("documents",)),
        tools=Allowed(()),
        software=Software("0.1", "1"),
        witnesses=Witnesses(""),
    )
    return replace(charter, **clauses)


words = st.text("abcdeéàç «»’0123456789.\n", min_size=1, max_size=30).map(str.strip).filter(bool)
names = st.text("abcdefghij-", min_size=1, max_size=6)
hexes = st.integers(1, 2**64).map(lambda number: f"{number:064x}")
both = st.builds(Texts, words, words)
personas = st.lists(st.builds(Persona, names, both, both, both), max_size=3, unique_by=lambda persona: persona.id).map(
    tuple
)
files = st.lists(
    st.builds(ModelFile, names, st.integers(1, 10**10), hexes), min_size=1, max_size=3, unique_by=lambda file: file.path
).map(tuple)
converted = st.lists(st.tuples(names, hexes), max_size=2, unique_by=lambda pair: pair[0]).map(tuple)
here = st.builds(
    model,
    names,
    name=words,
    family=names,
    context_length=st.integers(512, 10**6),
    format=st.sampled_from(["gguf-converted", "openvino"]),
    licence=names,
    source=words,
    training_summary=st.one_of(st.just(""), words),
    digest=hexes,
    files=files,
    converted=converted,
)
remote = st.builds(
    model,
    names,
    name=words,
    context_length=st.integers(512, 10**6),
    format=st.just("remote"),
    digest=st.just(""),
    files=st.just(()),
    converted=st.just(()),
    url=names.map("https://{}.example.org".format),
    remote_model=names,
)


def _decimals(least: int, most: int, *, places: int) -> st.SearchStrategy[Decimal]:
    return st.decimals(least, most, places=places, allow_nan=False, allow_infinity=False)


def _bounds(least: int, most: int, *, places: int) -> st.SearchStrategy[Bounds]:
    three = st.lists(_decimals(least, most, places=places), min_size=3, max_size=3).map(sorted)
    return three.map(lambda numbers: Bounds(numbers[1], numbers[0], numbers[2]))


@st.composite
def _boards(draw: st.DrawFn) -> tuple[Board, Entrenched]:
    members = draw(
        st.lists(
            st.builds(member, names, st.integers(1, 9)),
            min_size=1,
            max_size=4,
            unique_by=(lambda m: m.name, lambda m: m.key),
        )
    )
    guards = draw(st.lists(st.sampled_from([one.name for one in members]), unique=True, min_size=1))
    clauses = draw(st.lists(st.sampled_from(sorted(CLAUSES)), unique=True, max_size=4))
    quorum = draw(st.integers(1, len(members)))
    return Board(quorum, tuple(members)), Entrenched(tuple(clauses), tuple(guards) if clauses else ())


_days = st.integers(0, 2000).map(lambda days: date(2027, 1, 1) + timedelta(days))


@st.composite
def charters(draw: st.DrawFn) -> Charter:
    board, entrenched = draw(_boards())
    adopted_personas = draw(personas)
    models = draw(st.lists(st.one_of(here, remote), min_size=1, max_size=3, unique_by=lambda one: one.id))
    flags = st.booleans()
    return Charter(
        name=draw(words),
        purpose=draw(both),
        mandate=Mandate(draw(_days)),
        board=board,
        entrenched=entrenched,
        prompts=Prompts(
            draw(st.sampled_from(["en", "fr"])),
            draw(st.sampled_from(["", *(one.id for one in adopted_personas)])),
            draw(both),
        ),
        personas=adopted_personas,
        models=Models(draw(st.sampled_from([one.id for one in models])), tuple(models)),
        sampling=Sampling(
            profile=draw(st.sampled_from(Profile)),
            caller_seed=draw(flags),
            temperature=draw(_bounds(0, 2, places=2)),
            top_p=draw(_bounds(0, 1, places=2)),
            max_tokens=draw(_bounds(1, 9000, places=0)),
        ),
        context=Context("oldest-turns-first", draw(st.integers(1, 4096)), draw(st.integers(512, 10**6))),
        callers=draw(st.builds(Callers, flags, flags, flags, flags, flags)),
        retention=Retention(
            draw(st.one_of(st.integers(0, 3), st.integers(0, 3650))), draw(st.one_of(st.none(), _days))
        ),
        temporary=Temporary(draw(st.sampled_from(TemporaryRule))),
        audit=Audit(draw(st.decimals(0, 1, places=3))),
        disclosure=draw(both),
        sources=Allowed(tuple(draw(st.lists(st.sampled_from(SOURCES), unique=True)))),
        tools=Allowed(tuple(draw(st.lists(names, unique=True, max_size=3)))),
        software=Software(draw(st.sampled_from(["0.1", "0.2.1"])), draw(st.sampled_from(["1", "2.0"]))),
        witnesses=Witnesses(draw(st.one_of(st.just(""), words))),
    )


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Charter, Charter]:
    """Two charters that differ in a few clauses, in all, or in none."""
    before, other = draw(charters()), draw(charters())
    return before, _mixed(draw, before, other)


@st.composite
def proposals(draw: st.DrawFn) -> tuple[Charter, Charter, Charter]:
    """A charter, and two others that differ from it and from each other in a few clauses or in none."""
    before, after = draw(pairs())
    return before, after, _mixed(draw, after, draw(charters()))


# Clauses that name one another are taken together.
_TOGETHER = ({"board", "entrenched"}, {"prompts", "personas"})


def _mixed(draw: st.DrawFn, charter: Charter, other: Charter) -> Charter:
    taken = set(draw(st.lists(st.sampled_from([field.name for field in fields(Charter)]), max_size=4)))
    for group in _TOGETHER:
        if taken & group:
            taken |= group
    return replace(charter, **{name: getattr(other, name) for name in taken})
