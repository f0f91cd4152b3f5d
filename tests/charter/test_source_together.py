"""What does not fit together in a charter, and everything that is wrong with it told at once."""

import re

import pytest

from commun.charter.source import (
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_TOTAL_BYTES,
)
from commun.charter.source_mistakes import MAX_MISTAKES
from commun.charter.source_model import is_safe_path
from commun.charter.source_rules import version_numbers
from commun.charter.source_schema import CHARTER_KEYS
from source_example import EXAMPLES, GOLDEN, changed, line_of, told


class TestWhatDoesNotFitTogether:
    def test_two_members_with_one_key_are_told(self):
        first, second = re.findall(r'"(ed25519:\w+)"', EXAMPLES[0])
        files = changed("charter.toml", second, first)
        second_line = line_of(GOLDEN["charter.toml"], second)
        assert [mistake[:3] for mistake in told(files)] == [
            ("charter.toml", second_line, "“Benoît Leroy” has the same key as another member.")
        ]

    def test_a_key_on_a_weak_point_is_told(self):
        key = re.findall(r'"(ed25519:\w+)"', EXAMPLES[0])[0]
        weak = "ed25519:01" + "0" * 62
        assert "public key cannot be used" in told(changed("charter.toml", key, weak))[0][2]

    def test_two_personas_with_one_id_are_told(self):
        again = '[[personas]]\nid = "editor"\nname = { en = "A", fr = "B" }\nabout = { en = "A", fr = "B" }\n\n[models]'
        files = changed("charter.toml", "[models]", again)
        line = line_of(files["charter.toml"], again) + 1
        assert told(files) == [("charter.toml", line, "“editor” stands here twice.", "Keep one of the two.")]

    def test_no_persona_is_called_system(self):
        mistakes = told(changed("charter.toml", 'id = "editor"', 'id = "system"'))
        assert "No persona can be called “system”." in [mistake[2] for mistake in mistakes]

    def test_a_persona_needs_its_prompt_in_both_languages(self):
        files = {name: data for name, data in GOLDEN.items() if name != "prompts/editor.fr.md"}
        assert told(files) == [
            ("prompts/editor.fr.md", 0, "This prompt is missing.", "Write it: both languages need one.")
        ]

    def test_the_system_prompt_is_needed_in_both_languages(self):
        files = {name: data for name, data in GOLDEN.items() if "system" not in name}
        assert [mistake[0] for mistake in told(files)] == ["prompts/system.en.md", "prompts/system.fr.md"]

    def test_a_prompt_without_a_persona_is_told(self):
        problem = "No persona of charter.toml is called “poet”."
        cure = "Add it under [[personas]], or take the file out."
        assert told({**GOLDEN, "prompts/poet.en.md": b"Rhyme."}) == [("prompts/poet.en.md", 0, problem, cure)]

    def test_a_charter_without_models_is_told(self):
        files = {name: data for name, data in GOLDEN.items() if not name.startswith("models/")}
        assert [mistake[2] for mistake in told(files)] == ["No model is adopted."]

    def test_a_model_without_files_is_told(self):
        files = {**GOLDEN, "models/default.toml": EXAMPLES[1].split("[[files]]")[0].encode()}
        assert [mistake[2] for mistake in told(files)] == ["The model has no files."]

    def test_a_model_s_file_listed_twice_is_told_capitals_apart(self):
        more = f'\n[[files]]\npath = "MODEL.gguf"\nsize = 1\nsha256 = "{"1" * 64}"\n'
        files = {**GOLDEN, "models/default.toml": (EXAMPLES[1] + more).encode()}
        (mistake,) = told(files)
        assert mistake[1] == line_of(files["models/default.toml"], '"MODEL.gguf"')
        assert mistake[2] == "“MODEL.gguf” stands here twice."

    @pytest.mark.parametrize(
        "path", ["", ".", "..", "a/../b", "a//b", "/a", "a/", "c:\\a", "a\0", "a\nb", "a/.. /b", "nul.", "a\u202eb"]
    )
    def test_no_path_leaves_the_model_s_folder(self, path):
        assert not is_safe_path(path)

    @pytest.mark.parametrize("path", ["model.gguf", "a/b-c/d.bin", "é.bin", ".hidden", "a b"])
    def test_an_ordinary_path_is_safe(self, path):
        assert is_safe_path(path)

    def test_versions_are_compared_as_numbers(self):
        assert version_numbers("0.9") < version_numbers("0.10")
        assert version_numbers("1.0") == version_numbers("1")


class TestEveryMistakeAtOnce:
    def test_mistakes_in_all_files_are_told_in_order(self):
        files = changed("charter.toml", "quorum = 2", "quorum = 5")
        files["charter.toml"] = files["charter.toml"].replace(b"days = 365", b"days = -3").replace(b'"exact"', b'"x"')
        files["models/large.toml"] = b"this is no toml"
        files["prompts/system.fr.md"] = b"\xff"
        files["README.md"] = b"hello"
        files["prompts/poet.en.md"] = b"x" * (MAX_FILE_BYTES + 1)
        del files["prompts/editor.en.md"]
        golden = GOLDEN["charter.toml"]
        assert [mistake[:2] for mistake in told(files)] == [
            ("README.md", 0),
            ("charter.toml", line_of(golden, "quorum = 2")),
            ("charter.toml", line_of(golden, '"exact"')),
            ("charter.toml", line_of(golden, "days")),
            ("models/large.toml", 1),
            ("prompts/editor.en.md", 0),
            ("prompts/poet.en.md", 0),
            ("prompts/system.fr.md", 1),
        ]

    def test_an_empty_charter_names_every_part_that_it_needs(self):
        problems = " ".join(mistake[2] for mistake in told({"charter.toml": b""}))
        parts = {key.path.partition(".")[0] for key in CHARTER_KEYS} - {"personas[]", "audit"}
        for part in parts:
            assert f"“{part}” is missing" in problems or f"[{part}] is missing" in problems, part
        assert "No model is adopted." in problems

    def test_a_folder_without_charter_toml_says_so(self):
        files = {name: data for name, data in GOLDEN.items() if name != "charter.toml"}
        assert told(files)[0][:3] == ("charter.toml", 0, "charter.toml is missing.")

    def test_the_number_of_mistakes_is_bounded(self):
        files = {**GOLDEN, "charter.toml": "\u202e\n".encode() * 50_000}
        assert len(told(files)) == MAX_MISTAKES

    def test_nothing_invisible_and_nothing_long_stands_in_a_sentence(self):
        files = changed("charter.toml", "[retention]", f'"{"k" * 5_000}" = 1\n"\\u202e" = 1\n[retention]')
        mistakes = told(files)
        assert "U+202E" in mistakes[1][2]
        for mistake in mistakes:
            assert all(part.isprintable() and len(part) < 200 for part in mistake[2:])

    @pytest.mark.parametrize(
        ("name", "data", "problem"),
        [
            ("charter.toml", b"x" * (MAX_FILE_BYTES + 1), f"more than {MAX_FILE_BYTES} bytes"),
            ("../charter.toml", b"", "no file of this name"),
            ("prompts/../charter.toml", b"", "no file of this name"),
            ("prompts/system.de.md", b"", "no file of this name"),
            ("models/Default.toml", b"", "no file of this name"),
            ("prompts/a/b.en.md", b"", "no file of this name"),
            ("charter.toml\n", b"", "no file of this name"),
        ],
    )
    def test_files_beyond_the_bounds_are_not_read(self, name, data, problem):
        (mistake,) = told({**GOLDEN, name: data})
        assert problem in mistake[2]

    def test_too_many_files_and_too_many_bytes_are_told(self):
        many = {f"models/m{number}.toml": b"" for number in range(MAX_FILES + 1)}
        assert [mistake[2] for mistake in told(many)] == [f"The folder has more than {MAX_FILES} files."]
        count = MAX_TOTAL_BYTES // MAX_FILE_BYTES + 1
        large = {f"models/m{number}.toml": b"#" * MAX_FILE_BYTES for number in range(count)}
        assert [mistake[2] for mistake in told(large)] == [
            f"The files have more than {MAX_TOTAL_BYTES} bytes together."
        ]
