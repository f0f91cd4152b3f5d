"""From a published folder to the edition in force, as it is meant to be used."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from boards import NAMES, NOW
from commun.charter import repository as repository_module
from commun.charter import trust
from commun.charter.errors import (
    BrokenMetadata,
    InvalidCharter,
    MixedEditions,
    NoCharter,
    RolledBack,
    TooFewSignatures,
)
from commun.charter.loader import load, stamp, verify
from commun.charter.repository import Repository
from commun.charter.trust import OtherCharter
from published import QUORUM, Commun, changed, five_editions, freeze_documents, lay


@pytest.fixture
def commun(tmp_path: Path) -> Commun:
    return Commun(tmp_path)


def trusted(commun: Commun) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in commun.trust.iterdir()} if commun.trust.exists() else {}


def test_without_a_charter_there_is_none(commun: Commun) -> None:
    with pytest.raises(NoCharter):
        commun.load()
    assert trusted(commun) == {}


def test_a_board_of_one_founds_a_charter_and_it_is_in_force(commun: Commun) -> None:
    in_force = commun.adopt(NAMES[:1], names=NAMES[:1], quorum=1)
    assert in_force.edition is in_force.newest
    assert (in_force.edition.number, in_force.edition.base_digest, in_force.edition.root_version) == (1, "", 1)
    assert in_force.freeze is None
    assert in_force.stale_since is None
    assert in_force.charter.purpose.en == "To help."
    assert set(trusted(commun)) == {"1.root.json", "root.json", "timestamp.json", ".lock"}


def test_five_editions_follow_one_another_through_a_change_of_the_board(tmp_path: Path) -> None:
    commun = five_editions(tmp_path)
    in_force = commun.load()
    assert (in_force.edition.number, in_force.edition.root_version) == (5, 2)
    assert in_force.charter.purpose.en == "Five."
    assert in_force.edition.base_digest == commun.drafts[3].digest
    assert in_force.edition.digest == commun.drafts[4].digest
    assert dict(in_force.edition.files) == commun.drafts[4].files
    assert in_force.edition.proposed == NOW.replace(second=0)
    assert commun.load(trust="another-machine").edition == in_force.edition


def test_a_machine_that_was_off_for_a_while_catches_up(tmp_path: Path) -> None:
    commun = Commun(tmp_path)
    commun.adopt(purpose="One.")
    assert commun.load(trust="laptop").edition.number == 1
    for purpose in ("Two.", "Three.", "Four.", "Five."):
        commun.adopt(purpose=purpose)
    assert commun.load(trust="laptop").edition.number == 5


def test_who_signed_is_named_with_the_time_in_the_order_of_the_board(commun: Commun) -> None:
    edition = commun.publish(commun.draft().sign(["Chloé"], at=NOW - timedelta(days=1)).sign(["Benoît", "Ada"])).edition
    assert [(one.member, one.at, one.guard) for one in edition.signatures] == [
        ("Ada", NOW, False),
        ("Benoît", NOW, False),
        ("Chloé", NOW - timedelta(days=1), False),
    ]


def test_guards_are_marked_and_who_left_the_board_is_named_still(commun: Commun) -> None:
    entrenched = {"entrenched": ["purpose"]}
    commun.adopt(guards=["Ada", "Élise"], **entrenched)
    commun.adopt(NAMES, names=NAMES[:4], guards=["Ada"], **entrenched)
    assert [(one.member, one.guard) for one in commun.load().edition.signatures] == [
        ("Ada", True),
        ("Benoît", False),
        ("Chloé", False),
        ("Dara", False),
        ("Élise", True),
    ]
    assert "Élise" not in [one.name for one in commun.load().charter.board.members]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"\xff"),
        lambda path: path.write_bytes(b'{"assents": {"a": 1}}'),
        lambda path: path.write_bytes(b'{"assents": [1, null, {}, {"keyid": [], "time": 1, "sig": 2}]}'),
        lambda path: path.write_bytes(b"x" * 1_000_000),
        lambda path: changed(path, lambda value: value["assents"][0].update(time="2026-11-21T09:30:00Z")),
        lambda path: changed(path, lambda value: value["assents"][0].update(sig="00")),
        lambda path: changed(path, lambda value: value["assents"][0].update(sig="é")),
    ],
    ids=["missing", "no-text", "another-form", "other-types", "endless", "other-time", "other-signature", "no-hex"],
)
def test_a_missing_or_forged_time_is_unknown_and_nothing_worse(commun: Commun, spoil: Callable[[Path], object]) -> None:
    commun.adopt()
    spoil(commun.folder / "metadata" / "1.assents.json")
    first = commun.load().edition.signatures[0]
    assert (first.member, first.at) == ("Ada", None)


def test_an_expired_mandate_is_told_and_stops_nothing(commun: Commun) -> None:
    commun.adopt(until="2026-12-31")
    last_second = datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert commun.load(now=last_second).stale_since is None
    end = datetime(2027, 1, 1, tzinfo=UTC)
    assert commun.load(now=end).stale_since == end
    assert commun.load(now=end + timedelta(days=3650)).stale_since == end
    commun.adopt(until="2028-12-31")
    assert commun.load(now=end).stale_since is None


def test_nothing_is_written_where_nothing_changed(tmp_path: Path) -> None:
    commun = five_editions(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    commun.load()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_verifying_writes_nothing_at_all(commun: Commun) -> None:
    commun.adopt()
    other = commun.trust.with_name("other")
    assert verify(commun.repository, other, now=NOW).in_force.edition.number == 1
    assert not other.exists()


def test_the_stamp_of_what_is_published_changes_when_it_does(commun: Commun) -> None:
    commun.adopt()
    first = stamp(commun.repository)
    assert stamp(commun.repository) == first
    commun.adopt(purpose="Two.")
    second = stamp(commun.repository)
    commun.freeze()
    assert len({first, second, stamp(commun.repository)}) == 3


# Freezing


def test_a_frozen_edition_gives_way_to_the_one_before_it(tmp_path: Path) -> None:
    commun = five_editions(tmp_path)
    commun.freeze("Fanny", reason="It insults people.")
    in_force = commun.load()
    assert (in_force.edition.number, in_force.newest.number) == (4, 5)
    assert in_force.charter.purpose.en == "Four."
    freeze = in_force.freeze
    assert freeze is not None
    assert (freeze.member, freeze.edition, freeze.digest, freeze.at, freeze.reason) == (
        "Fanny",
        5,
        commun.drafts[4].digest,
        NOW,
        "It insults people.",
    )


def test_the_one_before_it_is_verified_under_the_board_of_its_own_time(commun: Commun) -> None:
    commun.adopt(purpose="One.")
    commun.adopt(names=["Ada", "Benoît", "Chloé", "Fanny"], purpose="Two.")
    commun.freeze("Fanny")
    in_force = commun.load()
    assert (in_force.edition.number, in_force.edition.root_version, in_force.newest.root_version) == (1, 1, 2)
    assert commun.load(trust="another").edition == in_force.edition


def test_the_quorum_releases_it_and_nobody_can_freeze_it_again(commun: Commun) -> None:
    commun.adopt(purpose="One.")
    commun.adopt(purpose="Two.")
    commun.freeze()
    assert commun.load().edition.number == 1
    commun.release(QUORUM)
    in_force = commun.load()
    assert (in_force.edition.number, in_force.freeze) == (2, None)
    commun.freeze("Dara", reason="Again.")
    with pytest.raises(MixedEditions):
        commun.load(trust="another")


def test_a_later_edition_ends_the_freeze_of_an_earlier_one(commun: Commun) -> None:
    commun.adopt(purpose="One.")
    commun.adopt(purpose="Two.")
    commun.freeze()
    commun.load()
    in_force = commun.adopt(purpose="Three.")
    assert (in_force.edition.number, in_force.freeze) == (3, None)


def test_what_was_frozen_and_never_released_does_not_come_back(commun: Commun) -> None:
    """One member after the other brakes: the last edition that nobody has stopped is in force, verified from its own
    base on, also by a machine that trusts the newest already.
    """
    for purpose in ("One.", "Two.", "Three.", "Four.", "Five.", "Six."):
        commun.adopt(purpose=purpose)
        if purpose not in ("One.", "Two."):
            commun.freeze("Dara")
            assert commun.load().charter.purpose.en == "Two."
    assert commun.load(trust="another").charter.purpose.en == "Two."
    last = verify(commun.repository, commun.trust, now=NOW)
    assert [link.edition.number for link in last.links] == [1, 2, 3, 4, 5, 6]
    assert all(len(link.edition.signatures) == 3 for link in last.links)
    assert last.fallback == last.in_force.edition


def test_what_was_released_comes_back(commun: Commun) -> None:
    commun.adopt(purpose="One.")
    commun.adopt(purpose="Two.")
    commun.freeze("Dara")
    commun.release()
    assert commun.load().charter.purpose.en == "Two."
    commun.adopt(purpose="Three.")
    commun.freeze("Dara")
    assert commun.load().charter.purpose.en == "Two."


def test_where_all_others_are_frozen_the_first_is_in_force(commun: Commun) -> None:
    for purpose in ("One.", "Two.", "Three."):
        commun.adopt(purpose=purpose)
        if purpose != "One.":
            commun.freeze("Ada")
    in_force = commun.load()
    assert (in_force.edition.number, in_force.newest.number) == (1, 3)
    assert in_force.freeze is not None
    assert in_force.freeze.edition == 3


def test_a_freeze_tells_beforehand_what_it_would_bring_back(commun: Commun) -> None:
    commun.adopt(purpose="One.")
    assert verify(commun.repository, commun.trust, now=NOW).fallback is None
    for purpose in ("Two.", "Three.", "Four."):
        commun.adopt(purpose=purpose)
        commun.freeze("Dara")
        commun.load()
    commun.adopt(purpose="Five.")
    verified = verify(commun.repository, commun.trust, now=NOW)
    assert verified.in_force.charter.purpose.en == "Five."
    assert verified.fallback is not None
    assert verified.fallback.charter.purpose.en == "One."


@pytest.mark.parametrize("again", [False, True], ids=["at-once", "after-two-more-editions"])
def test_taking_an_older_freeze_away_revives_nothing(commun: Commun, *, again: bool) -> None:
    commun.adopt(purpose="One.")
    commun.adopt(purpose="Two.")
    commun.freeze("Dara")
    commun.load()
    frozen = commun.folder / "freezes" / "2.freeze.json"
    for purpose in ("Three.", "Four.", "Five.") if again else ("Three.",):
        commun.adopt(purpose=purpose)
        commun.freeze("Ada")
        assert commun.load().charter.purpose.en == "One."
    good = frozen.read_bytes()
    frozen.unlink()
    with pytest.raises(RolledBack):
        commun.load()
    frozen.write_bytes(good)
    commun.release(edition=commun.drafts[1])
    frozen.unlink()
    with pytest.raises(MixedEditions):  # a release by a quorum counts; without the freeze that it answers it does not
        commun.load()


def test_a_freeze_is_remembered_by_a_machine_that_only_saw_what_followed(commun: Commun) -> None:
    commun.adopt(purpose="One.")
    commun.adopt(purpose="Two.")
    lay(commun.folder, freeze_documents(commun.drafts[-1], "Dara"))
    commun.adopt(purpose="Three.")
    assert commun.load(trust="late").charter.purpose.en == "Three."
    (commun.folder / "freezes" / "2.freeze.json").unlink()
    with pytest.raises(RolledBack):
        commun.load(trust="late")


def test_the_first_edition_cannot_be_frozen(commun: Commun) -> None:
    commun.adopt()
    commun.freeze()
    with pytest.raises(MixedEditions):
        commun.load()


def test_a_freeze_that_was_seen_cannot_disappear(commun: Commun) -> None:
    commun.adopt(purpose="One.")
    commun.adopt(purpose="Two.")
    commun.freeze()
    commun.load()
    (commun.folder / "freezes" / "2.freeze.json").unlink()
    with pytest.raises(RolledBack):
        commun.load()


def test_a_release_that_was_seen_cannot_disappear(commun: Commun) -> None:
    commun.adopt(purpose="One.")
    commun.adopt(purpose="Two.")
    commun.freeze()
    commun.release()
    commun.load()
    (commun.folder / "freezes" / "2.unfreeze.json").unlink()
    with pytest.raises(RolledBack):
        commun.load()


def test_a_mandate_that_ended_is_told_of_the_edition_in_force_too(commun: Commun) -> None:
    commun.adopt(until="2026-12-31")
    commun.adopt(until="2028-12-31")
    later = datetime(2027, 6, 1, tzinfo=UTC)
    assert commun.load(now=later).stale_since is None
    commun.freeze()
    assert commun.load(now=later).stale_since == datetime(2027, 1, 1, tzinfo=UTC)


# What this machine trusts


def test_trust_stays_where_it_was_while_anything_does_not_hold(tmp_path: Path) -> None:
    commun = Commun(tmp_path)
    commun.adopt(purpose="One.")
    before = trusted(commun)
    edition = commun.lay(commun.draft(purpose="Two.", names=NAMES[:4]).sign(QUORUM))
    name = next(path for path in (commun.folder / "targets" / "prompts").iterdir())
    good = name.read_bytes()
    name.write_bytes(good[:-1] + b"!")
    with pytest.raises(InvalidCharter):
        commun.load()
    assert trusted(commun) == before
    name.write_bytes(good)
    assert commun.load().edition.digest == edition.digest


def test_a_slower_process_does_not_set_trust_back(commun: Commun) -> None:
    commun.adopt(purpose="One.")
    slow = verify(commun.repository, commun.trust, now=NOW)
    commun.adopt(purpose="Two.")
    newest = trusted(commun)
    trust.advance(
        commun.trust,
        first_root=slow.roots[0],
        root=slow.root,
        timestamp=slow.links[-1].timestamp,
        freezes=slow.freezes,
    )
    assert trusted(commun) == newest


def test_a_charter_that_is_gone_is_not_taken_for_a_new_machine(commun: Commun) -> None:
    commun.adopt()
    commun.folder.rename(commun.folder.with_name("away"))
    with pytest.raises(RolledBack):
        commun.load()


@pytest.mark.parametrize("name", ["1.root.json", "root.json", "timestamp.json"])
@pytest.mark.parametrize("data", [b"", b"{}", b"x" * 2_000_000], ids=["empty", "nothing", "endless"])
def test_damaged_trust_is_refused_and_not_taken_for_none(commun: Commun, name: str, data: bytes) -> None:
    commun.adopt()
    (commun.trust / name).write_bytes(data)
    with pytest.raises(InvalidCharter):
        commun.load()


def test_a_link_in_the_trust_folder_is_not_followed(commun: Commun) -> None:
    commun.adopt()
    (commun.trust / "timestamp.json").unlink()
    (commun.trust / "timestamp.json").symlink_to(commun.folder / "metadata" / "timestamp.json")
    with pytest.raises(InvalidCharter):
        commun.load()


def test_trust_that_stopped_halfway_is_taken_up_again(tmp_path: Path) -> None:
    commun = five_editions(tmp_path)
    complete = trusted(commun)
    (commun.trust / "timestamp.json").unlink()
    assert commun.load().edition.number == 5
    assert trusted(commun) == complete
    (commun.trust / "root.json").write_bytes((commun.folder / "metadata" / "1.root.json").read_bytes())
    assert commun.load().edition.number == 5
    assert trusted(commun) == complete


def test_another_root_with_the_same_number_is_refused(tmp_path: Path) -> None:
    commun = five_editions(tmp_path)
    other = five_editions(tmp_path / "other")
    (commun.trust / "root.json").write_bytes((other.folder / "metadata" / "2.root.json").read_bytes())
    assert commun.load().edition.number == 5  # the same keys made it: the same signed bytes
    elsewhere = Commun(tmp_path / "elsewhere")
    elsewhere.adopt(purpose="One.")
    elsewhere.adopt(names=[*NAMES[:4], "Gaston"], purpose="Two.")
    (commun.trust / "root.json").write_bytes((elsewhere.folder / "metadata" / "2.root.json").read_bytes())
    with pytest.raises(RolledBack):
        commun.load()


# Publishing while somebody reads, and dying while publishing


def all_points(commun: Commun, edition: object) -> list[str]:
    points: list[str] = []
    copy = Repository(commun.folder.with_name("rehearsal"))
    lay(copy.folder, {name: (commun.folder / name).read_bytes() for name in commun.repository.names("")})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repository_module, "_reached", points.append)
        copy.publish(edition.documents(), check=lambda view: verify(view, commun.trust, now=NOW))  # type: ignore[attr-defined]
    return points


def dies_at(commun: Commun, edition: object, point: str) -> None:
    """A child process publishes and is killed there, as by a power cut."""
    child = os.fork()
    if child == 0:
        repository_module._reached = lambda reached: os.kill(os.getpid(), signal.SIGKILL) if reached == point else None
        try:
            commun.repository.publish(edition.documents(), check=lambda view: verify(view, commun.trust, now=NOW))  # type: ignore[attr-defined]
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_whoever_publishes_may_die_anywhere_the_old_or_the_new_edition_is_in_force(tmp_path: Path) -> None:
    template = Commun(tmp_path / "template")
    template.adopt(purpose="One.")
    amendment = template.draft(purpose="Two.", names=[*NAMES[:4], "Fanny"]).sign(QUORUM)
    points = all_points(template, amendment)
    assert len(points) > 15
    committed = points.index("metadata/timestamp.json beside its place") + 1
    for number, point in enumerate(points):
        commun = Commun(tmp_path / str(number))
        lay(commun.folder, {name: (template.folder / name).read_bytes() for name in template.repository.names("")})
        commun.load()
        dies_at(commun, amendment, point)
        expected = "One." if number < committed else "Two."
        for machine in ("charter-trust", "another-machine"):
            in_force = commun.load(trust=machine)
            assert in_force.charter.purpose.en == expected, point
            assert in_force.edition.digest == (template.drafts[0] if expected == "One." else amendment).digest
        commun.drafts = list(template.drafts)
        assert commun.publish(amendment).charter.purpose.en == "Two."


def test_after_a_death_another_amendment_may_be_adopted_instead(commun: Commun) -> None:
    commun.adopt(purpose="One.")
    abandoned = commun.draft(purpose="Two.", names=[*NAMES[:4], "Fanny"]).sign(QUORUM).documents()
    del abandoned["metadata/timestamp.json"]
    lay(commun.folder, abandoned)
    assert commun.load().charter.purpose.en == "One."
    assert commun.adopt(purpose="Other.", names=NAMES[:4]).charter.purpose.en == "Other."


def test_a_root_without_its_edition_is_trusted_for_nothing(commun: Commun) -> None:
    commun.adopt(purpose="One.")
    before = trusted(commun)
    edition = commun.draft(purpose="Two.", names=[*NAMES[:4], "Fanny"]).sign(QUORUM)
    lay(commun.folder, {"metadata/2.root.json": edition.root.to_bytes()})
    assert commun.load().edition.number == 1
    assert trusted(commun) == before
    assert verify(commun.repository, None, now=NOW).unfinished


def test_a_root_without_its_edition_must_hold_all_the_same(commun: Commun) -> None:
    commun.adopt(purpose="One.")
    edition = commun.draft(purpose="Two.", names=[*NAMES[:4], "Fanny"]).sign(QUORUM[:2])
    lay(commun.folder, {"metadata/2.root.json": edition.root.to_bytes()})
    with pytest.raises(TooFewSignatures):
        commun.load()


def test_two_roots_whose_editions_were_never_shown_are_refused(commun: Commun) -> None:
    commun.adopt(purpose="One.")
    second = commun.draft(purpose="Two.", names=[*NAMES[:4], "Fanny"]).sign(QUORUM)
    commun.drafts.append(second)
    third = commun.draft(purpose="Three.", names=NAMES[:4]).sign(QUORUM)
    lay(commun.folder, {"metadata/2.root.json": second.root.to_bytes(), "metadata/3.root.json": third.root.to_bytes()})
    with pytest.raises(MixedEditions):
        commun.load()


def test_whoever_reads_while_others_publish_sees_one_edition_after_the_other(tmp_path: Path) -> None:
    writer = Commun(tmp_path)
    writer.adopt(purpose="One.")
    writer.draft(names=[*NAMES[:4], "Fanny"])  # makes the keys
    boards = (NAMES, [*NAMES[:4], "Fanny"], NAMES[:4])
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(
            lambda: [writer.adopt(purpose=f"{n}.", names=boards[n % 3]).edition.number for n in range(12)]
        )
        seen = []
        while not ended.done():
            seen.append(load(Repository(writer.folder), tmp_path / "reader", now=NOW).edition.number)
    assert ended.result() == list(range(2, 14))
    assert seen == sorted(seen)
    assert len(set(seen)) > 3


def test_a_whole_different_charter_is_another_charter(tmp_path: Path) -> None:
    commun = Commun(tmp_path)
    commun.adopt()
    other = Commun(tmp_path / "other")
    other.adopt(["Mallory"], names=["Mallory"], quorum=1)
    with pytest.raises(OtherCharter):
        load(Repository(other.folder), commun.trust, now=NOW)


def test_a_boolean_or_a_fraction_is_no_version(commun: Commun) -> None:
    commun.adopt()
    path = commun.folder / "metadata" / "timestamp.json"
    for version in (True, 1.0, "1", None):
        changed(path, lambda value, version=version: value["signed"].update(version=version))
        with pytest.raises(BrokenMetadata):
            commun.load()
