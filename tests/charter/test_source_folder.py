"""The charter's folder on the disk: what belongs there is read, all else is told, and no link is followed."""

import os
import socket
from pathlib import Path

import pytest

from commun.charter.errors import CharterMistakes
from commun.charter.source import (
    MAX_FILE_BYTES,
    MAX_FILES,
    MAX_TOTAL_BYTES,
    is_charter_file,
    read_folder,
)
from source_example import GOLDEN, changed, sentences


@pytest.fixture
def folder(tmp_path):
    for name, data in GOLDEN.items():
        path = tmp_path / "charter" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "charter"


def told_of_folder(folder):
    with pytest.raises(CharterMistakes) as caught:
        read_folder(folder)
    return [mistake[:3] for mistake in sentences(caught.value)]


class TestTheFolder:
    def test_a_folder_is_read_byte_for_byte(self, folder):
        assert read_folder(folder) == GOLDEN

    def test_what_editors_and_git_leave_there_is_passed_over(self, folder):
        for name in (".DS_Store", "charter.toml~", "prompts/.system.en.md.swp", "prompts/x.swp", "#charter.toml#"):
            (folder / name).write_bytes(b"x")
        (folder / ".git").mkdir()
        (folder / ".git" / "HEAD").write_bytes(b"x")
        assert read_folder(folder) == GOLDEN

    def test_a_missing_folder_is_told(self, folder):
        assert told_of_folder(folder / "none") == [(".", 0, "There is no such folder.")]

    @pytest.mark.parametrize("name", ["README.md", "prompts/notes.txt", "models/default.json", "charter.en.toml"])
    def test_a_file_that_no_charter_has_is_told(self, folder, name):
        (folder / name).write_bytes(b"x")
        assert told_of_folder(folder) == [(name, 0, "A charter has no file of this name.")]

    @pytest.mark.parametrize("name", ["annex", "prompts/old", "charter.toml.d"])
    def test_a_folder_that_no_charter_has_is_told(self, folder, name):
        (folder / name).mkdir()
        assert told_of_folder(folder) == [(name, 0, "A charter has no folder of this name here.")]

    @pytest.mark.parametrize("name", ["charter.toml", "prompts/system.en.md", "models/default.toml"])
    def test_a_link_is_told_and_not_followed(self, folder, tmp_path, name):
        (folder / name).rename(tmp_path / "elsewhere")
        (folder / name).symlink_to(tmp_path / "elsewhere")
        assert [mistake for mistake in told_of_folder(folder) if mistake[0] == name] == [
            (name, 0, "This is a link, and a charter has none.")
        ]

    def test_a_linked_folder_is_told_and_not_followed(self, folder, tmp_path):
        (folder / "prompts").rename(tmp_path / "prompts")
        (folder / "prompts").symlink_to(tmp_path / "prompts")
        assert ("prompts", 0, "This is a link, and a charter has none.") in told_of_folder(folder)

    def test_a_pipe_is_told_and_not_waited_for(self, folder):
        (folder / "prompts/editor.fr.md").unlink()
        os.mkfifo(folder / "prompts/editor.fr.md")
        assert told_of_folder(folder) == [("prompts/editor.fr.md", 0, "This is neither a file nor a folder.")]

    def test_a_socket_is_told(self, folder, monkeypatch):
        monkeypatch.chdir(folder)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("charter.sock")
            assert told_of_folder(folder) == [("charter.sock", 0, "This is neither a file nor a folder.")]

    def test_a_huge_file_is_told_and_not_read_whole(self, folder):
        with (folder / "prompts/system.en.md").open("wb") as file:
            file.truncate(1 << 40)  # a terabyte of nothing: reading it would end the test run
        problem = f"The file has more than {MAX_FILE_BYTES} bytes."
        assert told_of_folder(folder) == [("prompts/system.en.md", 0, problem)]

    def test_files_too_large_together_are_told(self, folder):
        for number in range(MAX_TOTAL_BYTES // MAX_FILE_BYTES):
            (folder / f"models/m{number}.toml").write_bytes(b"#" * MAX_FILE_BYTES)
        assert told_of_folder(folder)[0] == (".", 0, f"The files have more than {MAX_TOTAL_BYTES} bytes together.")

    def test_too_many_files_are_told(self, folder):
        for number in range(MAX_FILES):
            (folder / f"models/m{number}.toml").write_bytes(b"")
        assert told_of_folder(folder)[0] == (".", 0, f"The folder has more than {MAX_FILES} files.")

    def test_mistakes_of_the_folder_and_inside_its_files_are_told_together(self, folder):
        (folder / "notes.txt").write_bytes(b"x")
        (folder / "charter.toml").write_bytes(changed("charter.toml", "quorum = 2", "quorum = 9")["charter.toml"])
        assert [mistake[0] for mistake in told_of_folder(folder)] == ["charter.toml", "notes.txt"]

    def test_a_file_name_that_is_no_text_is_told(self, folder):
        Path(os.fsdecode(os.fsencode(folder) + b"/\xff.toml")).write_bytes(b"x")
        assert told_of_folder(folder) == [("\ufffd.toml", 0, "A charter has no file of this name.")]


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("charter.toml", True),
        ("prompts/system.en.md", True),
        ("prompts/with-humour.fr.md", True),
        ("models/smollm2-135m.q8_0.toml", True),
        ("Charter.toml", False),
        ("prompts/system.md", False),
        ("prompts/.en.md", False),
        ("models/.toml", False),
        ("models/a/b.toml", False),
        ("/charter.toml", False),
        ("prompts/é.en.md", False),
        ("models/" + "a" * 65 + ".toml", False),
        ("", False),
    ],
)
def test_the_names_that_a_charter_s_files_may_have(name, is_one):
    assert is_charter_file(name) is is_one
