"""Each key of a TOML file is found on its own line, whatever the form; what is not TOML has a line, too."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commun.charter.positions import MAX_KEY_PARTS, MAX_NESTING, Unscannable, find_positions


def line_of(text: str, *path: str | int) -> int:
    return find_positions(text).line_of(path)


def test_a_key_in_a_table_is_found():
    assert line_of('a = 1\n\n# a remark\n[board]\nquorum = 2\nname = "x"', "board", "quorum") == 5


def test_the_second_table_of_an_array_has_its_own_lines():
    text = '[board]\nquorum = 1\n[[board.members]]\nname = "A"\n[[board.members]]\nname = "B"\n'
    assert line_of(text, "board", "members", 1) == 5
    assert line_of(text, "board", "members", 1, "name") == 6


def test_a_table_under_the_last_table_of_an_array_is_found():
    text = '[[personas]]\nid = "a"\n[[personas]]\nid = "b"\n[personas.name]\nen = "B"\n'
    assert line_of(text, "personas", 1, "name", "en") == 6


def test_inline_tables_and_dotted_keys_are_found():
    text = 'x = 1\nsampling.temperature = { default = 1,\tleast.a = 0 }\nsampling."top p".most = 1\n'
    assert line_of(text, "sampling", "temperature", "least", "a") == 2
    assert line_of(text, "sampling", "top p", "most") == 3


def test_each_element_of_an_array_is_found():
    assert line_of('clauses = [\n  "a", # one\n  "b",\n]\n', "clauses", 1) == 3


def test_what_looks_like_a_key_inside_a_long_string_is_none():
    text = 'policy = \'\'\'\nquorum = 9\n[board]\n\'\'\'\'\'\nquorum = 1\nother = """\na\\"""\\""""\nlast = 2\n'
    assert tomllib.loads(text)["last"] == 2
    assert line_of(text, "quorum") == 5
    assert line_of(text, "last") == 8


def test_lines_are_counted_through_windows_line_ends():
    assert line_of('a = 1\r\nb = """\r\n\r\n"""\r\nc = 3\r\n', "c") == 5


def test_a_missing_key_is_at_its_table_and_a_missing_table_is_nowhere():
    assert line_of("a = 1\n[board]\nquorum = 1\n", "board", "members") == 2
    assert line_of("a = 1\n", "board") == 0


def test_a_table_named_first_by_what_is_in_it_is_found_where_it_is_opened():
    assert line_of("[a.b]\nc = 1\n[a]\nd = 2\n", "a") == 3


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\na = 2\n", 2),
        ("[a]\nb = 1\n[c]\n[a]\n", 4),
        ("a = { b = 1, b = 2 }\n", 1),
        ("[[a]]\nb = 1\n\n[a]\n", 4),
    ],
)
def test_a_repeated_name_has_the_line_of_its_second_place(text, line):
    assert find_positions(text).repeated[0] == line
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = \n", 2),
        ("a = 1\nb = 'open\n", 2),
        ("a 1\n", 1),
        ("\n[board\nb = 1\n", 2),
        ('a = """\n\nopen\n', 1),
        ("a = [1,\n2\n", 3),
        ("a = 1\n\x00\n", 2),
    ],
)
def test_what_is_not_toml_has_a_line(text, line):
    with pytest.raises(Unscannable) as caught:
        find_positions(text)
    assert (caught.value.line, caught.value.beyond) == (line, False)


@pytest.mark.parametrize(
    "text",
    [
        'a = "\\e"',
        'a = "\\x41"',
        'a = """\\e"""',
        'a = """\\x41"""',
        "a = { b = 1, }",
        "a = {\n b = 1 }",
        "a = { b = 1\n}",
        "a = { b = 1,\n c = 2 }",
        "a = { b = 1 # a remark\n}",
        "a = 07:32",
        "a = 2026-11-22 07:32",
        "a = 2026-11-22T07:32Z",
        "a = [07:32]",
    ],
)
def test_what_only_toml_1_1_has_is_refused_whatever_reads_it_afterwards(text):
    with pytest.raises(Unscannable) as caught:
        find_positions("b = 1\n" + text)
    assert caught.value.beyond is False


@pytest.mark.parametrize(
    "text",
    [
        r'a = "\b\t\n\f\r\"\\\u0041\U00000041"',
        r'"\u0061b" = 1',
        'a = """\\\n   b\\  \n\n  c\\"d"e"""""',
        "a = {}",
        "a = { }",
        "a = { b = 1 , c.d = [1,\n 2,\n], }".replace(", }", " }"),
        "a = 07:32:00",
        "a = 2026-11-22 07:32:00.5+01:00",
        "a = [ 2026-11-22 , 07:32:00 ]",
    ],
)
def test_what_toml_1_0_has_is_read(text):
    find_positions(text)
    tomllib.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * (MAX_NESTING + 2) + "]" * (MAX_NESTING + 2),
        "a = " + "{a=" * 5_000,
        "a = " + "[" * 100_000,
        ".".join(["a"] * (MAX_KEY_PARTS + 1)) + " = 1",
        "a" + ".a" * 100_000 + " = 1",
        "[" + "a." * 100_000 + "a]",
        "a = " + "9" * 5_000,
        "a = [" + "1," * 100_000 + "]",
    ],
)
def test_what_would_cost_the_parser_too_much_is_refused_before_it(text):
    with pytest.raises(Unscannable) as caught:
        find_positions("b = 1\n" + text)
    assert caught.value.line == 2
    assert caught.value.beyond


# Whatever tomllib reads, every key of it is on its line

names = st.sampled_from(["a", "b", "key-1", "x_y", "1979", "é", "a b", "a.b", 'quo"te', "it's", ""])
scalars = st.sampled_from(
    [
        "1",
        "-0.5",
        "true",
        "1979-05-27 07:32:00",
        "inf",
        '"a # = [b]"',
        "'c:\\d'",
        '"\\u00e9\\"\\\\"',
        "'''\nx = 1\n'''",
        '"""\n[a]\nx = \\"\\"\\"\n"" """',
        '""',
        "''",
        '""""""',
        "''''x'''''",
    ]
)


def written(name: str) -> str:
    return name if name and all(c.isascii() and (c.isalnum() or c in "-_") for c in name) else basic(name)


def basic(name: str) -> str:
    return '"' + name.replace('"', '\\"').replace("é", "\\u00e9") + '"'


keys = st.lists(names, min_size=1, max_size=3).map(lambda parts: " . ".join(written(part) for part in parts))
spaces = st.sampled_from(["", " ", "\t"])
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[\n" + ", # x\n".join(items) + "]"),
        st.lists(st.tuples(keys, inner), max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{key} = {value}" for key, value in pairs) + "}"
        ),
    ),
    max_leaves=6,
)
statements = st.one_of(
    st.tuples(spaces, keys, values).map(lambda s: f"{s[0]}{s[1]} ={s[0]}{s[2]}{s[0]}# end"),
    keys.map(lambda key: f"[{key}]"),
    keys.map(lambda key: f"[[ {key} ]] # more"),
    st.sampled_from(["", "# [a] b = 1", "\t"]),
)
documents = st.lists(statements, max_size=10)
ends = st.sampled_from(["\n", "\r\n"])


def paths_of(value, path=()):
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name)
            yield from paths_of(inner, (*path, name))
    if isinstance(value, list):
        for number, inner in enumerate(value):
            yield (*path, number)
            yield from paths_of(inner, (*path, number))


@given(documents, ends)
def test_every_key_that_tomllib_reads_stands_on_its_line(parts, end):
    text = end.join(parts)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    positions = find_positions(text)
    lines = text.replace("\r\n", "\n").split("\n")
    for path in paths_of(data):
        assert path in positions.lines, path
        if isinstance(path[-1], str):
            assert written(path[-1]) in lines[positions.lines[path] - 1]
    assert positions.repeated == ()


@given(st.text(alphabet=st.sampled_from("ab01.=[]{}\"'\\#\n\r \t,-:\x00é"), max_size=60))
def test_any_text_is_scanned_or_has_a_line_and_whatever_tomllib_reads_is_scanned(text):
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        data = None
    try:
        positions = find_positions(text)
    except Unscannable as found:
        error = found
    else:
        error = None
    if error is not None:
        assert data is None
        assert 1 <= error.line <= text.count("\n") + 1
        return
    if data is not None:
        assert all(path in positions.lines for path in paths_of(data))
