"""The published folder: what is read of it, and how it is written."""

import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from commun.charter import repository as module
from commun.charter.errors import CharterError, MixedEditions, TooLarge, UnsafeName
from commun.charter.repository import TIMESTAMP, Repository, RepositoryBusy, is_repository_name, target_name

DIGEST = "ab" * 32
AMENDMENT = "amendments/0123456789ab.amendment"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    folder = tmp_path / "charter"
    (folder / "metadata").mkdir(parents=True)
    (folder / TIMESTAMP).write_bytes(b"now")
    return Repository(folder)


def accept(_view: Repository) -> None:
    pass


@pytest.mark.parametrize(
    "name",
    [
        TIMESTAMP,
        "metadata/1.root.json",
        "metadata/12.targets.json",
        "metadata/3.assents.json",
        f"targets/{DIGEST}.charter.toml",
        f"targets/prompts/{DIGEST}.system.en.md",
        "freezes/2.freeze.json",
        "freezes/2.unfreeze.json",
        AMENDMENT,
    ],
)
def test_these_names_belong_to_a_published_charter(name: str) -> None:
    assert is_repository_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../charter-trust/root.json",
        "metadata/../../x",
        "metadata/0.root.json",
        "metadata/01.root.json",
        "metadata/1.root.json\n",
        "metadata/1.root.json\0",
        "metadata\\1.root.json",
        "metadata/%2e%2e/x",
        f"targets/{DIGEST}./x",
        f"targets/prompts/../{DIGEST}.x",
        f"targets/a/b/{DIGEST}.x",
        f"targets/{DIGEST.upper()}.x",
        f"targets/{DIGEST}.{'x' * 300}",
        "metadata/2147483648.targets.json",
        "amendments/x.amendment",
    ],
)
def test_these_names_do_not_and_are_never_opened(repository: Repository, name: str) -> None:
    assert not is_repository_name(name)
    with pytest.raises(UnsafeName):
        repository.find(name, limit=10)


def test_a_file_is_named_after_its_digest_in_its_own_folder() -> None:
    assert target_name("prompts/system.en.md", DIGEST) == f"targets/prompts/{DIGEST}.system.en.md"
    assert target_name("charter.toml", DIGEST) == f"targets/{DIGEST}.charter.toml"


def test_a_missing_file_is_found_missing(repository: Repository) -> None:
    assert repository.find("metadata/1.root.json", limit=10) is None
    assert Repository(repository.folder / "nowhere").find(TIMESTAMP, limit=10) is None
    with pytest.raises(MixedEditions):
        repository.get("metadata/1.root.json", limit=10)


def test_a_file_is_read_up_to_its_bound(repository: Repository) -> None:
    assert repository.get(TIMESTAMP, limit=3) == b"now"
    with pytest.raises(TooLarge):
        repository.get(TIMESTAMP, limit=2)


def test_a_file_of_a_terabyte_is_refused_before_it_is_read(repository: Repository) -> None:
    with (repository.folder / TIMESTAMP).open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(TooLarge):
        repository.get(TIMESTAMP, limit=1000)


def test_a_file_that_grows_while_it_is_read_is_refused(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = os.fstat

    def small(handle: int) -> os.stat_result:
        status = list(honest(handle))
        status[6] = 0  # st_size
        return os.stat_result(status)

    (repository.folder / TIMESTAMP).write_bytes(b"x" * 100_000)
    monkeypatch.setattr(module.os, "fstat", small)
    with pytest.raises(TooLarge):
        repository.get(TIMESTAMP, limit=1000)


def test_a_fifo_that_never_ends_is_refused_at_once(repository: Repository) -> None:
    (repository.folder / TIMESTAMP).unlink()
    os.mkfifo(repository.folder / TIMESTAMP)
    refused: list[Exception] = []

    def read() -> None:
        try:
            repository.get(TIMESTAMP, limit=10)
        except CharterError as error:
            refused.append(error)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(5)
    assert [type(error) for error in refused] == [UnsafeName]


def test_a_folder_where_a_file_should_be_is_refused(repository: Repository) -> None:
    (repository.folder / "metadata" / "1.root.json").mkdir()
    with pytest.raises(UnsafeName):
        repository.find("metadata/1.root.json", limit=10)


def test_a_link_is_not_followed_to_a_file_nor_through_a_folder(repository: Repository, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "2.root.json").write_bytes(b"secret")
    (repository.folder / "metadata" / "1.root.json").symlink_to(secret / "2.root.json")
    with pytest.raises(UnsafeName):
        repository.find("metadata/1.root.json", limit=10)
    (repository.folder / "targets").symlink_to(secret)
    (secret / f"{DIGEST}.x").write_bytes(b"secret")
    with pytest.raises(UnsafeName):
        repository.find(f"targets/{DIGEST}.x", limit=10)


def test_the_folder_itself_may_be_a_link(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(repository.folder)
    assert Repository(tmp_path / "link").get(TIMESTAMP, limit=3) == b"now"


def test_where_nothing_can_be_opened_by_handle_links_are_still_refused(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.os, "supports_dir_fd", set())
    assert repository.get(TIMESTAMP, limit=3) == b"now"
    (repository.folder / "metadata" / "1.root.json").symlink_to(TIMESTAMP)
    with pytest.raises(UnsafeName):
        repository.find("metadata/1.root.json", limit=10)


def test_the_module_can_be_imported_where_there_is_no_fcntl() -> None:
    program = "import sys; sys.modules['fcntl'] = None; import commun.charter.repository"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_names_that_lie_there_are_listed_and_links_not_followed(repository: Repository, tmp_path: Path) -> None:
    (repository.folder / "loop").symlink_to(tmp_path)
    assert repository.names("") == ("loop", TIMESTAMP)
    assert repository.names("freezes") == ()


def test_folders_deeper_than_the_layouts_are_named_and_not_entered(repository: Repository) -> None:
    (repository.folder / "a" / "b" / "c" / "d").mkdir(parents=True)
    (repository.folder / "a" / "b" / "c" / "d" / "e").touch()
    assert repository.names("") == ("a/b/c", TIMESTAMP)


def test_more_names_than_anybody_publishes_are_refused(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LISTED", 3)
    for number in range(5):
        (repository.folder / str(number)).touch()
    with pytest.raises(TooLarge):
        repository.names("")


def test_the_stamp_changes_with_a_publication_and_with_a_freeze(repository: Repository) -> None:
    stamps = [repository.stamp()]
    repository.publish({TIMESTAMP: b"new"}, check=accept)
    stamps.append(repository.stamp())
    repository.put("freezes/2.freeze.json", b"stop")
    stamps.append(repository.stamp())
    repository.put(AMENDMENT, b"an amendment in flight changes nothing")
    stamps.append(repository.stamp())
    assert len(set(stamps)) == 3
    assert stamps[2] == stamps[3]


# Publishing

NEW = {TIMESTAMP: b"new", "metadata/2.targets.json": b"two", f"targets/{DIGEST}.charter.toml": b"rules"}


def lying(repository: Repository) -> dict[str, bytes]:
    return {name: (repository.folder / name).read_bytes() for name in repository.names("") if name != ".lock"}


def test_a_publication_writes_everything_it_was_given(repository: Repository) -> None:
    repository.publish(NEW, check=accept)
    assert lying(repository) == NEW


def test_the_timestamp_is_replaced_last(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[str] = []
    monkeypatch.setattr(module, "_reached", reached.append)
    repository.publish(NEW, check=accept)
    written = [point for point in reached if " " not in point]
    assert written == sorted(NEW.keys() - {TIMESTAMP})
    assert reached[-3:] == ["before commit", f"{TIMESTAMP} beside its place", "after commit"]


def test_what_does_not_hold_is_never_written(repository: Repository) -> None:
    seen: list[bytes | None] = []

    def refuse(view: Repository) -> None:
        seen.extend(view.find(name, limit=100) for name in NEW)
        raise MixedEditions(file="x", reason="for the test")

    with pytest.raises(MixedEditions):
        repository.publish(NEW, check=refuse)
    assert seen == list(NEW.values())
    assert lying(repository) == {TIMESTAMP: b"now"}


def test_it_is_checked_again_as_the_disk_has_it(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    def spoil(point: str) -> None:
        if point == "metadata/2.targets.json":
            (repository.folder / point).write_bytes(b"bad")

    def check(view: Repository) -> None:
        if view.find("metadata/2.targets.json", limit=10) != b"two":
            raise MixedEditions(file="x", reason="for the test")

    monkeypatch.setattr(module, "_reached", spoil)
    with pytest.raises(MixedEditions):
        repository.publish(NEW, check=check)
    assert (repository.folder / TIMESTAMP).read_bytes() == b"now"


def test_a_full_disk_leaves_what_was_in_force(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OSError, match="full"):
        repository.publish(NEW, check=accept)
    assert (repository.folder / TIMESTAMP).read_bytes() == b"now"


def test_a_publication_without_a_timestamp_or_with_another_name_is_refused(repository: Repository) -> None:
    for files in ({"metadata/2.targets.json": b"two"}, NEW | {"../x": b"x"}, NEW | {".lock": b""}):
        with pytest.raises(UnsafeName):
            repository.publish(files, check=accept)


def test_only_amendments_and_freezes_are_written_alone_and_only_amendments_removed(repository: Repository) -> None:
    for name in (TIMESTAMP, "metadata/2.root.json", f"targets/{DIGEST}.x", "../x"):
        with pytest.raises(UnsafeName):
            repository.put(name, b"x")
        with pytest.raises(UnsafeName):
            repository.remove(name)
    with pytest.raises(UnsafeName):
        repository.remove("freezes/2.freeze.json")
    repository.put(AMENDMENT, b"x")
    repository.put(AMENDMENT, b"longer")
    assert repository.get(AMENDMENT, limit=100) == b"longer"
    repository.remove(AMENDMENT)
    repository.remove(AMENDMENT)
    assert repository.names("amendments") == ()


def test_nothing_is_written_through_a_link(repository: Repository, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (repository.folder / "amendments").symlink_to(elsewhere)
    with pytest.raises(UnsafeName):
        repository.put(AMENDMENT, b"x")
    assert not any(elsewhere.iterdir())
    precious = tmp_path / "precious"
    precious.write_bytes(b"precious")
    (repository.folder / "freezes").mkdir()
    (repository.folder / "freezes" / "2.freeze.json").symlink_to(precious)
    repository.put("freezes/2.freeze.json", b"stop")
    assert precious.read_bytes() == b"precious"


def a_folder(path: Path) -> None:
    path.mkdir(parents=True)


def a_full_folder(path: Path) -> None:
    (path / "inside").mkdir(parents=True)


def a_link(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(path.with_name("nowhere"))


@pytest.mark.parametrize(
    ("name", "put_there"),
    [
        ("metadata/2.targets.json.staged", a_folder),
        ("metadata/timestamp.json.staged", a_full_folder),
        ("metadata/2.targets.json", a_folder),
        ("metadata/2.targets.json", a_full_folder),
        (".lock", a_folder),
        (".lock", a_link),
        ("targets", lambda path: path.touch()),
        ("targets", a_link),
    ],
)
def test_what_lies_in_the_place_of_a_file_stops_a_publication_with_our_own_error(
    repository: Repository, name: str, put_there: Callable[[Path], None]
) -> None:
    put_there(repository.folder / name)
    with pytest.raises(UnsafeName):
        repository.publish(NEW, check=accept)
    assert (repository.folder / TIMESTAMP).read_bytes() == b"now"


def test_nor_is_a_folder_removed_or_made_where_a_file_lies(repository: Repository, tmp_path: Path) -> None:
    a_full_folder(repository.folder / AMENDMENT)
    with pytest.raises(UnsafeName):
        repository.remove(AMENDMENT)
    (tmp_path / "a-file").touch()
    with pytest.raises(UnsafeName):
        Repository(tmp_path / "a-file").put(AMENDMENT, b"x")


def test_a_second_writer_is_sent_away_and_the_first_may_nest(repository: Repository) -> None:
    second = Repository(repository.folder)
    with repository.locked():
        repository.put(AMENDMENT, b"x")
        with pytest.raises(RepositoryBusy):
            second.publish(NEW, check=accept)
        with pytest.raises(RepositoryBusy):
            second.put(AMENDMENT, b"y")
    second.publish(NEW, check=accept)


def test_another_thread_with_the_same_repository_is_a_second_writer(repository: Repository) -> None:
    with repository.locked(), ThreadPoolExecutor(1) as pool:
        with pytest.raises(RepositoryBusy):
            pool.submit(repository.put, AMENDMENT, b"x").result(timeout=120)
        repository.put(AMENDMENT, b"x")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(repository.put, AMENDMENT, b"y").result(timeout=120)


def test_the_lock_goes_with_the_process_that_held_it(repository: Repository) -> None:
    program = (
        "import sys, os; from pathlib import Path; from commun.charter.repository import Repository\n"
        "with Repository(Path(sys.argv[1])).locked(): print('held', flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(repository.folder)], capture_output=True, timeout=60, check=False
    )
    assert done.stdout == b"held\n"
    repository.put(AMENDMENT, b"x")
