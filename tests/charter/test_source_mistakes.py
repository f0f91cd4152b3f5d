"""One mistake in the charter: told at its file and line, with what is wrong and what to do."""

import pytest

from commun.charter.errors import CharterMistakes
from commun.charter.refused_settings import REFUSED
from commun.charter.source import read_charter
from commun.charter.source_mistakes import MISSING_KEY, MISTYPED_KEY
from source_example import GOLDEN, changed, line_of, told

# Each mistake: file, what is changed into what, on which line it is told (by a text on it, after the change or before;
# "" for the whole file), and what the person reads.
MISTAKES = [
    # keys
    (
        "charter.toml",
        "[retention]",
        "colour = 1\n[retention]",
        "colour",
        "“callers.colour” means nothing",
        "Take it out",
    ),
    ("charter.toml", "quorum = 2", "qorum = 2", "quorum = 2", "“board.qorum” means nothing", "Is “quorum” meant?"),
    ("charter.toml", "quorum = 2", "", "[board]", "“board.quorum” is missing", "for example: quorum = 2"),
    ("charter.toml", 'name = "The town', '# name = "The town', "", "“name” is missing", 'for example: name = "Commun"'),
    ("charter.toml", "[retention]\ndays = 365", "", "", "The part [retention] is missing", "docs/spec/charter.md"),
    (
        "charter.toml",
        "[sampling.top_p]",
        "[sampling.top_k]",
        "[sampling.top_p]",
        "“sampling.top_k” is not allowed",
        "Take it out; “temperature” and “top_p”",
    ),
    (
        "charter.toml",
        "caller_seed",
        "speculative_decoding = true\ncaller_seed",
        "speculative_decoding",
        "could not be recomputed",
        "Take it out",
    ),
    # types
    ("charter.toml", "quorum = 2", 'quorum = "2"', "quorum = 2", "must be a whole number", "quorum = 2"),
    ("charter.toml", "quorum = 2", "quorum = true", "quorum = 2", "must be a whole number", "quorum = 2"),
    ("charter.toml", "quorum = 2", "quorum = 2.0", "quorum = 2", "must be a whole number", "quorum = 2"),
    ("charter.toml", "default = 0.3", 'default = "warm"', "default = 0.3", "must be a number", "default = 0.3"),
    (
        "charter.toml",
        "caller_seed = true",
        "caller_seed = 1",
        "caller_seed",
        "must be true or false",
        "caller_seed = true",
    ),
    ("charter.toml", 'rule = "offered"', "rule = 1", "rule =", "must be a text", 'rule = "offered"'),
    ("charter.toml", "allowed = []", 'allowed = "all"', "allowed = []", "must be a list of texts", "allowed = []"),
    ("charter.toml", "allowed = []", "allowed = [1]", "allowed = []", "must be a list of texts", "allowed = []"),
    (
        "charter.toml",
        "days = 365",
        'days = 365\nhold_until = "2027-06-30"',
        "hold_until",
        "“retention.hold_until” must be a date",
        "hold_until = 2027-06-30",
    ),
    ("charter.toml", "days = 365", 'days = 365\nhold_until = ""', "hold_until", "must be a date", "hold_until = 2027"),
    (
        "charter.toml",
        "days = 365",
        "days = 365\nhold_until = 2027-11-23",
        "hold_until",
        "The legal hold lasts longer than the board’s mandate, which ends on 2027-11-22.",
        "prolong the mandate",
    ),
    ("charter.toml", "until = 2027-11-22", 'until = "2027-11-22"', "until", "must be a date", "until = 2027-11-22"),
    ("charter.toml", "until = 2027-11-22", "until = 2027-11-22T00:00:00Z", "until", "must be a date", "until = 2027"),
    (
        "charter.toml",
        "[retention]\ndays = 365",
        "[[retention]]\ndays = 365",
        "[retention]",
        "must be a part of its own",
        "charter.md",
    ),
    # bounds
    ("charter.toml", "until = 2027-11-22", "until = 9999-12-31", "until", "from 2000-01-01 to 2199-12-31", "until"),
    (
        "charter.toml",
        "most = 1.5",
        "most = 2.1",
        "most = 1.5",
        "“sampling.temperature.most” must be from 0 to 2",
        "most = 2",
    ),
    ("charter.toml", "default = 0.3", "default = nan", "default = 0.3", "must be from 0 to 2", "default"),
    ("charter.toml", "default = 0.3", "default = -inf", "default = 0.3", "must be from 0 to 2", "default"),
    (
        "charter.toml",
        "default = 0.3",
        "default = 1e999999999999999999999",
        "default = 0.3",
        "must be from 0 to 2",
        "default",
    ),
    (
        "charter.toml",
        "default = 0.3",
        "default = 1e-99999999",
        "default = 0.3",
        "more than 6 decimal places",
        "Round it",
    ),
    (
        "charter.toml",
        "least = 0.1",
        "least = 0",
        "least = 0.1",
        "“sampling.top_p.least” must be from 0.000001 to 1",
        "least",
    ),
    ("charter.toml", "most = 8192", "most = 2147483649", "most = 8192", "must be from 1 to 2147483648", "most"),
    (
        "charter.toml",
        "default = 0.3",
        "default = 1.6",
        "default = 0.3",
        "not between “least” and “most”",
        "least ≤ default ≤ most",
    ),
    (
        "charter.toml",
        "default = 1024",
        "default = 8193",
        "default = 1024",
        "“sampling.max_tokens.default” is not between",
        "least ≤",
    ),
    (
        "charter.toml",
        "answer_reserve = 512",
        "answer_reserve = 131072",
        "answer_reserve",
        "leaves no room",
        "smaller than “most_tokens”",
    ),
    ("charter.toml", "days = 365", "days = -1", "days", "must be from 0 to 36500", "days = 365"),
    (
        "charter.toml",
        'policy = ""',
        f'policy = "{"x" * 16385}"',
        'policy = ""',
        "longer than 16384 characters",
        "Shorten",
    ),
    ("charter.toml", "quorum = 2", "quorum = 0", "quorum = 2", "must be from 1 to 60", "quorum"),
    (
        "charter.toml",
        "quorum = 2",
        "quorum = 3",
        "quorum = 2",
        "The quorum is 3, but the board has 2 members",
        "Lower the quorum",
    ),
    # names and choices
    (
        "charter.toml",
        "commun-charter/1",
        "commun-charter/2",
        "format",
        "“format” cannot be “commun-charter/2”",
        "commun-charter/1",
    ),
    ("charter.toml", '"exact"', '"fastest"', "profile", "cannot be “fastest”", "Choose from: exact, fast"),
    ("charter.toml", '"oldest-turns-first"', '"newest"', "oldest-turns", "cannot be “newest”", "oldest-turns-first"),
    ("charter.toml", '"offered"', '"maybe"', "rule", "cannot be “maybe”", "offered, only, never"),
    (
        "charter.toml",
        '["documents"]',
        '["documents", "radio"]',
        '["documents"]',
        "cannot be “radio”",
        "documents, feeds, web",
    ),
    ("charter.toml", '["documents"]', '["web", "web"]', '["documents"]', "“web” stands here twice", "Keep one"),
    (
        "charter.toml",
        '"disclosure"]',
        '"colour"]',
        '"disclosure"]',
        "“entrenched.clauses” cannot be “colour”",
        "callers.ignore_eos",
    ),
    ("charter.toml", 'language = "fr"', 'language = "de"', "language", "cannot be “de”", "en, fr"),
    (
        "charter.toml",
        '"Benoît Leroy"]',
        '"Carole"]',
        '"Benoît Leroy"]',
        "“Carole” is not a member",
        "“Anne Martin”, “Benoît Leroy”",
    ),
    ("charter.toml", '["Anne Martin", "Benoît Leroy"]', "[]", "guards", "nobody guards them", "Name members"),
    (
        "charter.toml",
        '["purpose", "board.quorum", "disclosure"]',
        '["purpose", "prompts"]',
        "clauses =",
        "“prompts” is entrenched and “personas” is not",
        "Add “personas” to the list",
    ),
    ("charter.toml", 'persona = ""', 'persona = "poet"', "persona =", "No persona is called “poet”", "“editor”"),
    (
        "charter.toml",
        'default = "default"',
        'default = "huge"',
        'default = "default"',
        "No adopted model is called “huge”",
        "“default”, “large”",
    ),
    ("charter.toml", 'least = "0.1"', 'least = "v0.1"', 'least = "0.1"', "not written in the form", 'least = "0.1"'),
    ("charter.toml", 'below = "1.0"', 'below = "0.1.0"', 'below = "1.0"', "No version is from", "greater than “least”"),
    (
        "charter.toml",
        'name = "Benoît Leroy"',
        'name = "ANNE Martin"',
        'name = "Benoît',
        "Two members are called “ANNE Martin”",
        "another name",
    ),
    ("charter.toml", 'name = "The town\'s assistant"', 'name = ""', "name =", "“name” is empty", "name ="),
    (
        "charter.toml",
        'name = "The town\'s assistant"',
        'name = "two\\nlines"',
        "name =",
        "must be one line",
        "one line",
    ),
    (
        "charter.toml",
        "ed25519:334962b9",
        "ed25519:zz4962b9",
        'key = "ed25519:334',
        "public key cannot be used",
        "send the key again",
    ),
    (
        "charter.toml",
        "ed25519:334962b9",
        "rsa:334962b9",
        'key = "ed25519:334',
        "public key cannot be used",
        "send the key again",
    ),
    ("charter.toml", 'id = "editor"', 'id = "Editor!"', 'id = "editor"', "not written in the form", 'id = "editor"'),
    # TOML
    ("charter.toml", "quorum = 2", "quorum 2", "quorum = 2", "This is not TOML", "equals sign"),
    ("charter.toml", "until = 2027-11-22", "until = 2027-02-30", "until", "This is not TOML", "equals sign"),
    ("charter.toml", "quorum = 2", "quorum = 2 3", "quorum = 2", "This is not TOML", "equals sign"),
    (
        "charter.toml",
        "days = 365",
        "days = 365\n\n[ board ]",
        "[ board ]",
        "This name has been given already",
        "Keep one",
    ),
    (
        "charter.toml",
        "quorum = 2",
        f"quorum = {'[' * 40}",
        "quorum = 2",
        "nested too deeply, or too long",
        "charter.md",
    ),
    # characters
    (
        "charter.toml",
        "It helps",
        "It\u202e helps",
        "It helps",
        "nobody can see: U+202E",
        "Delete it",
    ),
    ("charter.toml", "It helps", "It\\u202e helps", "It helps", "nobody can see: U+202E", "Delete it"),
    ("charter.toml", "[purpose]", "# \u2066 a remark\n[purpose]", "\u2066", "nobody can see: U+2066", "Delete it"),
    ("prompts/system.en.md", "assistant", "assi\u200bstant", "assistant", "nobody can see: U+200B", "Delete it"),
    ("prompts/system.en.md", "assistant", "assistant\n\x00", "\x00", "nobody can see: U+0000", "Delete it"),
    (
        "prompts/system.en.md",
        "assistant",
        "assistant\n\n\U000e0041",
        "\U000e0041",
        "nobody can see: U+E0041",
        "Delete it",
    ),
    ("prompts/system.en.md", "You are an assistant.", " \n", "", "This prompt is empty", "both languages"),
    ("prompts/system.en.md", "You are", "\ufeffYou are", "You are", "byte order mark", "without BOM"),
    # models
    ("models/large.toml", 'id = "large"', 'id = "small"', "id =", "not the file's name", 'id = "large"'),
    (
        "models/large.toml",
        "https://models",
        "https://me:secret@models",
        "url",
        "not a web address without a password",
        "url =",
    ),
    ("models/large.toml", "https://models", "ftp://models", "url", "not a web address without a password", "url ="),
    ("models/large.toml", 'remote_model = "qwen3-8b"', "", "", "“remote_model” is missing", "remote_model ="),
    (
        "models/large.toml",
        "context_length",
        f'digest = "{"0" * 64}"\ncontext_length',
        "digest",
        "not for a model on another",
        "Take it out",
    ),
    (
        "models/large.toml",
        "remote_model",
        'files = [{ path = "a", size = 1, sha256 = "%s" }]\nremote_model' % ("0" * 64),
        "files",
        "“files” is not for a model on another",
        "Take it out",
    ),
    ("models/large.toml", '"remote"', '"gguf"', "format", "cannot be “gguf”", "gguf-converted, openvino, remote"),
    (
        "models/default.toml",
        "size = 98000000",
        "size = 98000001",
        "digest",
        "not the one of these files: they make ",
        "publisher",
    ),
    (
        "models/default.toml",
        'family = "llama"',
        'family = "qwen2"',
        "digest",
        "not the one of these files",
        "publisher",
    ),
    (
        "models/default.toml",
        '"model.gguf"',
        '"../model.gguf"',
        "model.gguf",
        "not a path inside the model's folder",
        "slashes",
    ),
    (
        "models/default.toml",
        '"model.gguf"',
        '"/model.gguf"',
        "model.gguf",
        "not a path inside the model's folder",
        "slashes",
    ),
    ("models/default.toml", "digest =", "# digest =", "", "“digest” is missing", 'digest = "'),
    (
        "models/default.toml",
        "[converted]",
        'url = "https://example.org"\n[converted]',
        "url",
        "only for a model on another",
        "Take it out",
    ),
    (
        "models/default.toml",
        '"2026.4.1.0" = "1',
        '"new" = "1',
        '"2026.4.1.0"',
        "not written in the form",
        '"2026.4.1.0" =',
    ),
    ("models/default.toml", "sha256 =", "sha265 =", "sha256 =", "“files.sha265” means nothing", "Is “sha256” meant?"),
    (
        "models/default.toml",
        "size = 98000000",
        "size = 9007199254740992",
        "size",
        "must be from 0 to 9007199254740991",
        "size",
    ),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_told_at_its_line_with_its_cure(mistake):
    file, old, new, at, problem, cure = mistake
    files = changed(file, old, new)
    mistakes = told(files)
    found = [one for one in mistakes if problem in one[2]]
    assert found, mistakes
    assert found[0][0] == file
    assert found[0][1] == (line_of(files[file], at) or line_of(GOLDEN[file], at))
    assert cure in found[0][3]


@pytest.mark.parametrize("name", [*REFUSED, "Top-K"])
def test_a_setting_of_other_programs_is_refused_with_its_reason(name):
    (mistake,) = told(changed("charter.toml", "caller_seed", f"{name} = 1\ncaller_seed"))
    reason = REFUSED[name.lower().replace("-", "_")]
    assert mistake[2] == (
        f"“sampling.{name}” is not allowed, since an answer drawn with it could not be recomputed: {reason}."
    )
    assert mistake[3].startswith("Take it out")


@pytest.mark.parametrize("character", ["\u202e", "\\u202e"])
def test_a_hidden_character_is_told_once_raw_or_escaped(character):
    (mistake,) = told(changed("charter.toml", "It helps", f"It{character} helps"))
    assert mistake[2] == "There is a character here that nobody can see: U+202E."


@pytest.mark.parametrize("text", ["l’été : « oui »\u202f!", "👩\u200d🔬 👋🏽", "p\u0430ypal", "a\tb\n\n- c"])
def test_what_can_be_seen_or_is_needed_to_write_is_allowed(text):
    charter = read_charter({**GOLDEN, "prompts/system.fr.md": text.encode()})
    assert charter.prompts.system.fr == text


def test_no_message_is_made_of_words_from_the_folder():
    """Problem and cure are message ids: the same whatever stands in the folder."""
    with pytest.raises(CharterMistakes) as caught:
        read_charter(changed("charter.toml", "quorum = 2", "quorumm = 2"))
    assert {mistake.problem for mistake in caught.value.mistakes} == {MISTYPED_KEY.problem, MISSING_KEY.problem}
    assert dict(caught.value.mistakes[1].details) == {"key": "board.quorumm", "near": "quorum"}
