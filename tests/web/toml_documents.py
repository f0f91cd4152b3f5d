"""TOML documents for comparing two readers: each form by hand, right and wrong, and random ones out of the same pieces.

The same ones each time: one seed. What a charter's files can hold is what counts here, so bare carriage returns and other
control characters appear, but no document of half characters.
"""

import random
from collections.abc import Iterator

NAMES = (
    "a",
    "b",
    "key-1",
    "x_y",
    "1979",
    '"é"',
    '"a b"',
    '"a.b"',
    "'it is'",
    '""',
    '"\\u0061"',
    "true",
    "__proto__",
    "constructor",
)
RIGHT = (
    *("1", "0", "-0", "+0", "1_000", "+99", "-17", "0xDEAD_beef", "0o755", "0b1101_0", "9223372036854775808"),
    *("1.0", "-0.0", "3.1415_92", "5e+22", "1E06", "-2E-2", "6.626e-34", "0e0", "inf", "-inf", "+nan", "nan", "1e999999999999999999999"),
    *("true", "false", "2027-11-22", "2024-02-29", "1979-05-27T07:32:00Z", "1979-05-27 00:32:00.999999-07:00", "07:32:00", "00:32:00.9999999999"),
    *("1979-05-27t07:32:00z", "2000-02-29T23:59:59+23:59", "0001-01-01"),
    *('""', '"x"', '"\\b\\t\\n\\f\\r\\"\\\\"', '"\\u00e9\\U0001F600"', '"é # [b]"', "''", "'c:\\d'", '"\ttab"', "'\ttab'"),
    *('""""""', '"""a"b""c"""', '"""a"""""', '"""\nx"""', '"""\\\n   b\\  \n\n  c"""', '"""a\\\n\n\n"""', "''''''", "'''\nx\n'''", "''''x'''''", "'''''x'''"),
    *("[]", "[1, 2,]", "[ 1 , [2, 'x'], {} ]", "[\n1, # one\n\n2\n]", "[#\n]", "{}", "{ a = 1 }", "{a.b=1, a.c=2}", "{ 'x' = [1], y.z = {} }"),
    *("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]", "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]", "1" * 100, "0." + "0" * 98),
)  # fmt: skip
WRONG = (
    *("", "01", "1__0", "_1", "1_", "+0x1", "0x", "0xg", "0x_1", "0b2", "0o8", "0X1", "-0b1", "1.", ".5", "1._5", "1_.5", "1e", "1e+", "1e_5", "00.5", "0_0"),
    *("++1", "+-1", "infinity", "-Inf", "NaN", "True", "tru", "truee", "falsey", "1 2", "1,", "1979-05-27T07:32", "07:32", "1979-5-27", "1979-13-01"),
    *("2023-02-29", "2027-02-30", "0000-01-01", "1979-05-27T24:00:00", "1979-05-27T07:60:00", "07:32:60", "1979-05-27T07:32:00+24:00", "1979-05-27T", "1979-05-27 "),
    *("1979-05-27T07:32:00.", "1979-05-27  07:32:00", "1979-05-27T07:32:00Zx", '"', '"x', "'x", '"a\nb"', "'a\nb'", '"\\e"', '"\\x41"', '"\\u12"', '"\\ud800"', '"\\U00110000"', '"\\ "'),
    *('"a" "b"', '"""a', '"""a""""""', "'''a''''''", "'''a", '"""\\ x"""', '"""\\e"""', '"\x00"', "'\x1f'", '"\x7f"', '"""\x0b"""', '"a\rb"', '"""a\rb"""'),
    *("[1", "[1 2]", "[,]", "[1,,2]", "]", "{", "{a}", "{a=1", "{a=1,}", "{,}", "{a=1 b=2}", "{a=1,\nb=2}", "{a=1 # x\n}", "{\n}", "{a=1, a=2}", "{a.b=1, a=2}", "{a={}, a.b=1}"),
    *("{a=[], a.b=1}", "{a.b=1, a.b.c=2}", "[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "1" * 101, "0." + "0" * 99, "# nothing", "é", "\\", "=", "1 =", "[" * 3000, "{a=" * 3000),
)  # fmt: skip
# Whole documents: which names may be given, and which tables opened, once more.
WHOLE = (
    *("", "\n", "# only this", "# \x00", "\ta = 1\t# x\r\nb = 2", "a = 1\r", "a = 1 # \r\nb = 1", "\ufeffa = 1", "a", "a =", "= 1", "a = 1 b = 2", "a = 1; b = 2"),
    *("[a]\n[a]", "[a]\n[a.b]\n[a]", "[a.b]\n[a]", "[a.b]\n[a]\nb = 1", "[a]\nb = 1\n[a.b]", "a = 1\n[a]", "a.b = 1\n[a]", "a.b = 1\n[a.b]", "a.b = 1\n[a.c]", "a.b.c = 1\n[a.b]\nd = 1"),
    *("[a]\nb.c = 1\n[a.b]", "[a]\nb.c = 1\n[a.b.d]", "[a.b]\nc = 1\n[a]\nb.d = 1", "[a.b.c]\nz = 1\n[a]\nb.x = 1", "[a.b.c]\nz = 1\n[a]\nb.c.x = 1", "a.b = 1\na.c = 2\nb.c = 3\na.d = 4"),
    *("[x]\na.b = 1\n[y]\n[x.a]", "[x]\na.b = 1\n[y]\n[x]\na.c = 1", "a = {}\n[a]", "a = {}\n[a.b]", "a = {}\na.b = 1", "a.b = {}\na.b.c = 1", "a = {b.c = 1}\na.b.d = 1", "[a]\nb = {c = 1}\n[a.b.c]"),
    *("[[a]]\n[[a]]", "[[a]]\n[a]", "[a]\n[[a]]", "[[a]]\nb = 1\n[a.c]\nd = 1\n[[a]]\n[a.c]", "[[a]]\n[a.c]\n[a.c]", "a = []\n[[a]]", "a = [{}]\n[[a]]", "a = [{}]\n[a.b]", "[[a.b]]\n[a]", "[[a.b]]\n[a]\nb.c = 1"),
    *("[a.b]\n[[a]]", "[[a]]\n[[a.b]]\n[[a.b]]\n[[a]]\n[[a.b]]", "[[a]]\nx = {y = 1}\n[[a]]\nx.z = 1", "[[a]]\n[[a.b]]\n[a.b]", "[[a]]\nb.c = 1\n[a.b]", "[[a]]\nb.c = 1\n[[a]]\nb.c = 1\n[a.b]", "[[a]]\n[a.b]\n[a]"),
    *("[]", "[a", "[a]]", "[[a]", "[ [a] ]", "[[a] ]", "[a.]", "[.a]", "[a..b]", "[a] b = 1", "[a] # x", "[ a . 'b' ]\nc = 1", "[[ a . b ]]", "[a\n]", "[a b]", '["""a"""]', '"""a""" = 1', "'''a''' = 1"),
    *("a = 1\na = 2", "a = 1\n'a' = 2", "a.b = 1\na . 'b' = 2", "a.b = 1\na = 2", "a = 1\na.b = 2", "a.b.c.d.e.f.g.h = 1", "a.b.c.d.e.f.g.h.i = 1", "[a.b.c.d.e.f.g.h]", "[a.b.c.d.e.f.g.h.i]"),
    *("a = [" + "1," * 19998 + "1]", "a = [" + "1," * 19999 + "1]", "a\u00a0= 1", "a = 1\u2028b = 2", "a = \n1", "a\n= 1", "a = [\r\n1,\r\n2\r\n]", '"\\u0061" = 1\na = 2', "a = 1 #\x7f", "a=1#", "3.14 = 1"),
)  # fmt: skip
EDITS = tuple("\"'[]{}=.,#\\\n\r\t _-+0179aeTZ:x\x00é")


def documents(seed: int, each: int) -> Iterator[str]:
    """All that is above, and ``each`` random ones of three kinds."""
    chance = random.Random(seed)
    yield from WHOLE
    for value in (*RIGHT, *WRONG):
        yield f"k = {value}"
        yield f"k = [{value}]\nl = {{ m = {value}, n.o = {value} }} # x\n[p]\nk = {value}"
    for _ in range(each):
        yield "\n".join(_statement(chance, RIGHT) for _ in range(chance.randint(1, 9)))
    for _ in range(each):
        yield "\n".join(_statement(chance, ("1", "{ a = 1 }", "[]")) for _ in range(chance.randint(2, 6)))
    for _ in range(each):
        text = "\n".join(_statement(chance, (*RIGHT, *WRONG[:60])) for _ in range(chance.randint(1, 5)))
        yield edited(chance, text, EDITS)


def edited(chance: random.Random, text: str, letters: tuple[str, ...]) -> str:
    """A few characters taken out, put in or replaced."""
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(text) + 1)
        text = text[:at] + chance.choice((*letters, "")) + text[at + chance.randint(0, 1) :]
    return text


def _statement(chance: random.Random, values: tuple[str, ...]) -> str:
    few = chance.sample(NAMES, 2) if chance.random() < 0.3 else ["a", "b"]
    key = chance.choice((".", " . ")).join(chance.choice(few) for _ in range(chance.choice((1, 1, 2, 3))))
    if chance.random() < 0.4:
        return f"[[{key}]]" if chance.random() < 0.4 else f"[{key}]"
    return f"{key} = {chance.choice(values)}"
