"""The TUF client workflow: what is trusted, in which order, and what is refused before anything of it is kept."""

import json
import subprocess
import sys
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner, Key
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)

from commun.charter.client import MAX_DELEGATED, MAX_ROOTS, MAX_TARGET_BYTES, Client
from commun.charter.delegation import metadata_file, target_file
from commun.charter.errors import (
    BadBoard,
    BrokenMetadata,
    InvalidCharter,
    MixedEditions,
    RolledBack,
    TooFewSignatures,
    TooLarge,
    UnsafeName,
    WrongFile,
    WrongVersion,
)
from commun.charter.workflow import MAX_BYTES, Expired, Trusted
from tuf_repository import LATER, NOW, MemoryFetch, MemoryStore, TufRepository, signed_file


@pytest.fixture
def repository() -> TufRepository:
    return TufRepository()


def client_of(repository: TufRepository, store: MemoryStore | None = None, *, now: datetime = NOW, **rules) -> Client:
    return Client(MemoryFetch(repository.files), store or MemoryStore(repository.first_root()), now=now, **rules)


def versions(store: MemoryStore) -> dict[str, int]:
    return {name: json.loads(data)["signed"]["version"] for name, data in store.files.items()}


# What is trusted


def test_a_new_client_trusts_what_the_first_root_vouches_for(repository):
    client = client_of(repository, store := MemoryStore(repository.first_root()))
    trusted = client.refresh()
    assert trusted.targets.signed.unrecognized_fields["x-commun"]["edition"] == 1
    assert trusted.stale_since is None
    assert client.download("prompts/system.en.md") == b"Be kind.\n"
    assert versions(store) == {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}
    assert store.files["targets"] == repository.files["metadata/1.targets.json"], "stored as it came, byte for byte"


def test_a_client_that_is_up_to_date_asks_for_two_files_only(repository):
    client_of(repository, store := MemoryStore(repository.first_root())).refresh()
    again = MemoryFetch(repository.files)
    Client(again, store, now=NOW).refresh()
    assert again.asked == ["metadata/2.root.json", "metadata/timestamp.json"]


def test_roots_are_followed_one_by_one(repository):
    for place in (0, 1, 2):
        repository.replace_member(place)
    repository.publish({"charter.toml": b"new board"})
    store = MemoryStore(repository.first_root())
    assert client_of(repository, store).refresh().root.signed.version == 4
    assert client_of(repository, store).download("charter.toml") == b"new board"


def test_only_so_many_new_roots_are_followed_at_a_time(repository):
    for _ in range(MAX_ROOTS + 4):
        repository.next_root(repository.board[:3])
    store = MemoryStore(repository.first_root())
    assert client_of(repository, store).refresh().root.signed.version == 1 + MAX_ROOTS
    assert client_of(repository, store).refresh().root.signed.version == 5 + MAX_ROOTS


# Roots


@pytest.mark.parametrize("side", ["old", "new"])
def test_a_root_needs_the_old_quorum_and_the_new_one(repository, side):
    old = list(repository.board)
    repository.board = [CryptoSigner.generate_ed25519() for _ in range(5)]
    repository.next_root(old[:3] + repository.board[:2] if side == "old" else old[:2] + repository.board[:3])
    store = MemoryStore(repository.first_root())
    with pytest.raises(TooFewSignatures):
        client_of(repository, store).refresh()
    assert versions(store) == {"root": 1}


def test_a_root_that_leaves_a_version_out_is_refused(repository):
    repository.root.version = 2
    repository.next_root(repository.board[:3])
    repository.files["metadata/2.root.json"] = repository.files.pop("metadata/3.root.json")
    with pytest.raises(WrongVersion):
        client_of(repository).refresh()


def test_more_rules_are_asked_between_two_roots_before_the_new_one_is_trusted(repository):
    repository.replace_member(4)
    steps = []

    def check_root(old, new):
        steps.append((old and old.signed.version, new.signed.version))
        if old is not None:
            raise BadBoard(file="2.root.json", reason="for the test")

    store = MemoryStore(repository.first_root())
    with pytest.raises(BadBoard):
        client_of(repository, store, check_root=check_root).refresh()
    assert steps == [(None, 1), (1, 2)]
    assert versions(store) == {"root": 1}


def test_the_first_root_must_be_signed_by_its_own_quorum(repository):
    with pytest.raises(TooFewSignatures):
        Trusted(signed_file(repository.root, repository.board[:2]), now=NOW)


def test_a_signature_of_a_removed_member_counts_no_more(repository):
    gone = repository.replace_member(0)
    repository.publish({"charter.toml": b"x"})
    snapshot = Metadata.from_bytes(repository.files["metadata/2.snapshot.json"]).signed
    repository.files["metadata/2.snapshot.json"] = signed_file(snapshot, [gone, *repository.board[1:3]])
    with pytest.raises(TooFewSignatures):
        client_of(repository).refresh()


def test_one_key_under_two_ids_is_one_key():
    repository = TufRepository(members=1, quorum=1)
    only = repository.board[0]
    twin = Key.from_dict(
        "0" * 64, only.public_key.to_dict() | {"keyval": {"public": only.public_key.keyval["public"].upper()}}
    )
    for role in repository.root.roles:
        repository.root.add_key(twin, role)
        repository.root.roles[role].threshold = 2
    metadata = Metadata(repository.root)
    signature = metadata.sign(only)
    signature.keyid = twin.keyid
    metadata.sign(only, append=False)
    metadata.signatures[twin.keyid] = signature
    with pytest.raises(TooFewSignatures):
        Trusted(metadata.to_bytes(), now=NOW)


@pytest.mark.parametrize("threshold", [0, -1])
def test_a_threshold_below_one_is_no_board(repository, threshold):
    document = json.loads(repository.first_root())
    document["signed"]["roles"]["snapshot"]["threshold"] = threshold
    with pytest.raises(BadBoard):
        Trusted(json.dumps(document).encode(), now=NOW)


def test_a_key_twice_in_a_role_is_no_board(repository):
    document = json.loads(repository.first_root())
    document["signed"]["roles"]["root"]["keyids"] *= 2
    with pytest.raises(BadBoard):
        Trusted(json.dumps(document).encode(), now=NOW)


# Rollback, fast-forward, freeze


def test_an_older_timestamp_is_refused(repository):
    repository.publish({"charter.toml": b"2"})
    client_of(repository, store := MemoryStore(repository.first_root())).refresh()
    repository.put_timestamp(Timestamp(version=1, expires=LATER, snapshot_meta=MetaFile(2)))
    with pytest.raises(RolledBack):
        client_of(repository, store).refresh()
    assert versions(store)["timestamp"] == 2


def test_a_timestamp_that_names_an_older_snapshot_is_refused(repository):
    repository.publish({"charter.toml": b"2"})
    client_of(repository, store := MemoryStore(repository.first_root())).refresh()
    repository.put_timestamp(Timestamp(version=3, expires=LATER, snapshot_meta=MetaFile(1)))
    with pytest.raises(RolledBack):
        client_of(repository, store).refresh()
    assert versions(store)["timestamp"] == 2


@pytest.mark.parametrize("meta", [{"targets.json": MetaFile(1)}, {"other.json": MetaFile(9)}])
def test_a_snapshot_that_lists_an_older_role_or_leaves_it_out_is_refused(repository, meta):
    repository.publish({"charter.toml": b"2"})
    client_of(repository, store := MemoryStore(repository.first_root())).refresh()
    repository.edition = 3
    repository.put("snapshot", repository.snapshot(meta))
    repository.put_timestamp(Timestamp(version=3, expires=LATER, snapshot_meta=MetaFile(3)))
    with pytest.raises(RolledBack):
        client_of(repository, store).refresh()
    assert versions(store)["snapshot"] == 2


def test_a_timestamp_of_the_same_version_changes_nothing(repository):
    client_of(repository, store := MemoryStore(repository.first_root())).refresh()
    repository.put_timestamp(Timestamp(version=1, expires=LATER, snapshot_meta=MetaFile(100)))
    assert client_of(repository, store).refresh().snapshot.signed.version == 1


def test_enormous_versions_are_recovered_from_by_a_new_key(repository):
    repository.edition = 2**31
    repository.publish({"charter.toml": b"the attacker's"})
    client_of(repository, store := MemoryStore(repository.first_root())).refresh()
    repository.edition = 1
    repository.publish({"charter.toml": b"ours"})
    with pytest.raises(RolledBack):
        client_of(repository, store).refresh()
    repository.replace_member(4)  # the others have signed what is stored: by its signatures alone it would still hold
    repository.edition = 1
    repository.publish({"charter.toml": b"ours"})
    client = client_of(repository, store)
    assert client.refresh().rotated
    assert client.download("charter.toml") == b"ours"


def test_a_member_who_only_comes_in_lets_nothing_be_rolled_back(repository):
    old = repository.files["metadata/timestamp.json"]
    repository.publish({"charter.toml": b"2"})
    client_of(repository, store := MemoryStore(repository.first_root())).refresh()
    repository.board.append(CryptoSigner.generate_ed25519())
    repository.next_root(repository.board[:3])
    repository.files["metadata/timestamp.json"] = old
    with pytest.raises(RolledBack):
        client_of(repository, store).refresh()


def test_what_has_expired_is_refused_where_that_was_asked_for(repository):
    store = MemoryStore(repository.first_root())
    with pytest.raises(Expired):
        client_of(repository, store, now=LATER).refresh()
    assert versions(store) == {"root": 1}


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_each_role_may_be_the_one_that_has_expired(repository, role):
    early = NOW - timedelta(days=1)
    if role == "root":
        repository.root.expires = early
        repository.put_root(repository.board[:3])
    elif role == "timestamp":
        repository.put_timestamp(Timestamp(version=1, expires=early, snapshot_meta=MetaFile(1)))
    else:
        signed = Metadata.from_bytes(repository.files[f"metadata/1.{role}.json"]).signed
        signed.expires = early
        repository.put(role, signed)
    store = MemoryStore(repository.first_root())
    with pytest.raises(Expired) as caught:
        client_of(repository, store).refresh()
    assert caught.value.details["file"] == f"{role}.json"
    assert role == "root" or role not in store.files
    assert client_of(repository, on_expiry="tell").refresh().stale_since == early


def test_what_has_expired_is_told_where_that_was_asked_for(repository):
    sooner = LATER - timedelta(days=7)
    repository.put_timestamp(Timestamp(version=2, expires=sooner, snapshot_meta=MetaFile(1)))
    trusted = client_of(repository, now=LATER, on_expiry="tell").refresh()
    assert trusted.stale_since == sooner
    assert client_of(repository, now=sooner, on_expiry="tell").refresh().stale_since == sooner
    assert client_of(repository, now=sooner - timedelta(seconds=1)).refresh().stale_since is None


def test_an_expired_root_between_two_others_stops_nobody(repository):
    repository.root.expires = NOW - timedelta(days=1)
    repository.next_root(repository.board[:3])
    repository.root.expires = LATER
    repository.next_root(repository.board[:3])
    assert client_of(repository).refresh().root.signed.version == 3


# Mix-and-match, files, bounds


def test_a_snapshot_of_another_version_than_the_timestamp_names_is_refused(repository):
    repository.publish({"charter.toml": b"2"})
    repository.files["metadata/2.snapshot.json"] = repository.files["metadata/1.snapshot.json"]
    with pytest.raises(MixedEditions):
        client_of(repository).refresh()


def test_targets_of_another_version_than_the_snapshot_lists_are_refused(repository):
    repository.publish({"charter.toml": b"2"})
    repository.files["metadata/2.targets.json"] = repository.files["metadata/1.targets.json"]
    store = MemoryStore(repository.first_root())
    with pytest.raises(MixedEditions):
        client_of(repository, store).refresh()
    assert "targets" not in store.files


def test_metadata_must_have_the_hash_and_length_that_were_signed_for_it(repository):
    snapshot = repository.files["metadata/1.snapshot.json"]
    repository.put_timestamp(
        Timestamp(version=2, expires=LATER, snapshot_meta=MetaFile.from_data(1, snapshot, ["sha256"]))
    )
    assert client_of(repository).refresh()
    repository.files["metadata/1.snapshot.json"] = snapshot.replace(b"{", b" {", 1)
    with pytest.raises(WrongFile):
        client_of(repository).refresh()


def test_a_stored_snapshot_that_is_not_the_one_described_is_fetched_again(repository):
    client_of(repository, store := MemoryStore(repository.first_root())).refresh()
    published = repository.files["metadata/1.snapshot.json"]
    store.files["snapshot"] = published + b" "
    described = MetaFile.from_data(1, published, ["sha256"])
    repository.put_timestamp(Timestamp(version=2, expires=LATER, snapshot_meta=described))
    client_of(repository, store).refresh()
    assert store.files["snapshot"] == published


def test_targets_must_have_the_hash_and_length_that_were_signed_for_them(repository):
    targets = repository.files["metadata/1.targets.json"]
    described = MetaFile.from_data(1, targets, ["sha256", "sha512"])
    repository.put("snapshot", repository.snapshot({"targets.json": described}))
    fetch = MemoryFetch(repository.files)
    Client(fetch, MemoryStore(repository.first_root()), now=NOW).refresh()
    assert fetch.limits["metadata/1.targets.json"] == len(targets), "no more is read than was signed"
    repository.files["metadata/1.targets.json"] = targets.replace(b"{", b"{ ", 1)
    with pytest.raises(WrongFile):
        client_of(repository).refresh()


ALL_FOUR = ["1.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]
OF_ANOTHER = [(place, other) for place in ["2.root.json", *ALL_FOUR[1:]] for other in ALL_FOUR if place != other]


@pytest.mark.parametrize(("place", "other"), OF_ANOTHER)
def test_a_role_in_the_place_of_another_is_refused_although_the_same_board_signed_it(repository, place, other):
    repository.files[f"metadata/{place}"] = repository.files[f"metadata/{other}"]
    with pytest.raises((BrokenMetadata, WrongVersion)):
        client_of(repository).refresh()


@pytest.mark.parametrize("role", ["root", "timestamp", "snapshot", "targets"])
def test_a_boolean_is_no_version(repository, role):
    name = "metadata/timestamp.json" if role == "timestamp" else f"metadata/1.{role}.json"
    metadata = Metadata.from_bytes(repository.files[name])
    metadata.signed.version = True
    repository.files[name] = signed_file(metadata.signed, repository.board[:3])
    with pytest.raises(BrokenMetadata):
        client_of(repository).refresh()


def test_a_weak_hash_alone_describes_nothing(repository):
    snapshot = repository.files["metadata/1.snapshot.json"]
    repository.put_timestamp(
        Timestamp(version=2, expires=LATER, snapshot_meta=MetaFile.from_data(1, snapshot, ["md5"]))
    )
    with pytest.raises(WrongFile):
        client_of(repository).refresh()


@pytest.mark.parametrize("name", ["timestamp.json", "1.snapshot.json", "1.targets.json"])
def test_a_missing_file_is_named(repository, name):
    del repository.files[f"metadata/{name}"]
    with pytest.raises(WrongFile) as caught:
        client_of(repository).refresh()
    assert caught.value.details["file"] == name


@pytest.mark.parametrize("name", ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"])
def test_endless_metadata_is_refused_unread(repository, name):
    limit = MAX_BYTES[name.split(".")[-2]]
    repository.files[f"metadata/{name}"] = b" " * (limit + 1)
    with pytest.raises(TooLarge):
        client_of(repository).refresh()


def test_a_target_that_was_changed_by_one_bit_is_refused(repository):
    name = next(name for name in repository.files if name.endswith(".charter.toml"))
    data = bytearray(repository.files[name])
    data[0] ^= 1
    repository.files[name] = bytes(data)
    with pytest.raises(WrongFile):
        client_of(repository).download("charter.toml")


def test_an_endless_target_is_refused(repository):
    repository.publish({"charter.toml": b"x"})
    enormous = TargetFile(MAX_TARGET_BYTES + 1, {"sha256": "0" * 64}, "charter.toml")
    repository.put("targets", repository.targets({"charter.toml": enormous}))
    with pytest.raises(TooLarge):
        client_of(repository).download("charter.toml")


def test_a_target_that_is_longer_than_was_signed_is_not_read_to_its_end(repository):
    name = next(name for name in repository.files if name.endswith(".system.en.md"))
    repository.files[name] += b"more"
    with pytest.raises(WrongFile):
        client_of(repository).download("prompts/system.en.md")


def test_a_target_that_nobody_lists_is_not_there(repository):
    client = client_of(repository)
    assert client.find_target("prompts/other.md") is None
    with pytest.raises(WrongFile):
        client.download("prompts/other.md")


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../charter.toml", "a/../b", "a//b", "a/./b", "a\\b", "a\0b", "a\nb"]
)
def test_no_target_leaves_its_folder(repository, path):
    with pytest.raises(UnsafeName):
        client_of(repository).find_target(path)
    with pytest.raises(UnsafeName):
        target_file(TargetFile(1, {"sha256": "0" * 64}, path), consistent=True)


@pytest.mark.parametrize("digest", ["../../x", "", "A" * 64, "0" * 63])
def test_no_hash_leads_out_of_a_folder(digest):
    with pytest.raises(WrongFile):
        target_file(TargetFile(1, {"sha256": digest}, "charter.toml"), consistent=True)


@pytest.mark.parametrize(
    ("role", "name"),
    [("../a", "1...%2Fa.json"), ("..", "1....json"), ("?#", "1.%3F%23.json"), ("a\0", "1.a%00.json")],
)
def test_a_role_name_is_one_safe_path_component(role, name):
    assert metadata_file(role, 1) == name


@pytest.mark.parametrize("role", ["", "é" * 100])
def test_an_empty_or_endless_role_name_is_refused(role):
    with pytest.raises(UnsafeName):
        metadata_file(role, 1)


# What is stored


def test_an_update_that_broke_off_goes_on_where_it_stopped(repository):
    client_of(repository, store := MemoryStore(repository.first_root())).refresh()
    repository.publish({"charter.toml": b"2"})
    held_back = repository.files.pop("metadata/2.targets.json")
    with pytest.raises(WrongFile):
        client_of(repository, store).refresh()
    assert versions(store) == {"root": 1, "timestamp": 2, "snapshot": 2, "targets": 1}
    repository.files["metadata/2.targets.json"] = held_back
    assert client_of(repository, store).download("charter.toml") == b"2"


@pytest.mark.parametrize("name", ["timestamp", "snapshot", "targets"])
def test_damage_to_what_is_stored_keeps_nobody_from_updating(repository, name):
    client_of(repository, store := MemoryStore(repository.first_root())).refresh()
    store.files[name] = store.files[name][:-9]
    client_of(repository, store).refresh()


def test_without_a_first_root_nothing_is_trusted(repository):
    store = MemoryStore(b"")
    with pytest.raises(BrokenMetadata):
        client_of(repository, store).refresh()
    store.remove("root")
    with pytest.raises(WrongFile):
        client_of(repository, store).refresh()


# Delegations


def delegate(repository, roles, *, top, files=None):
    """``roles``: name -> (signer, Targets); ``top``: the top-level delegations. Publishes all of it."""
    repository.publish(files or {}, delegations=top, roles=dict.fromkeys(roles, 1))
    for name, (signer, targets) in roles.items():
        repository.files[f"metadata/1.{name}.json"] = signed_file(targets, [signer])


def delegation(signer, *roles):
    return Delegations({signer.public_key.keyid: signer.public_key}, {role.name: role for role in roles})


def role_of(signer, name, paths=("*",), *, terminating=False, prefixes=None):
    paths = None if prefixes else list(paths)
    return DelegatedRole(name, [signer.public_key.keyid], 1, terminating, paths, prefixes)


def listing(*paths, delegations=None):
    return Targets(1, None, LATER, {path: TargetFile(1, {"sha256": "0" * 64}, path) for path in paths}, delegations)


def test_a_target_is_found_in_the_first_role_that_lists_it(repository):
    signer = CryptoSigner.generate_ed25519()
    top = delegation(signer, role_of(signer, "a", ["x/*"]), role_of(signer, "b"))
    delegate(repository, {"a": (signer, listing("x/1", "y")), "b": (signer, listing("y", "x/2"))}, top=top)
    client = client_of(repository)
    assert client.find_target("x/1")
    assert client.find_target("y"), "by b: a may not speak of it"
    assert client.find_target("x/2") is None, "a pattern does not cross a folder, and b has no say in x/"
    assert client.find_target("z") is None


def test_a_terminating_delegation_ends_the_search(repository):
    signer = CryptoSigner.generate_ed25519()
    for terminating in (False, True):
        top = delegation(signer, role_of(signer, "a", terminating=terminating), role_of(signer, "b"))
        delegate(repository, {"a": (signer, listing()), "b": (signer, listing("file"))}, top=top)
        assert (client_of(repository).find_target("file") is None) == terminating


def test_a_terminating_delegation_further_down_ends_the_search_everywhere(repository):
    signer = CryptoSigner.generate_ed25519()
    for terminating in (False, True):
        top = delegation(signer, role_of(signer, "a"), role_of(signer, "b"))
        below = delegation(signer, role_of(signer, "c", terminating=terminating))
        roles = {"a": listing(delegations=below), "b": listing("file"), "c": listing()}
        delegate(repository, {name: (signer, targets) for name, targets in roles.items()}, top=top)
        assert (client_of(repository).find_target("file") is None) == terminating


def test_hash_bins_are_searched(repository):
    signer = CryptoSigner.generate_ed25519()
    bins = [role_of(signer, f"bin-{digit:x}", prefixes=[f"{digit:x}"]) for digit in range(16)]
    delegate(
        repository,
        {role.name: (signer, listing("file")) for role in bins},
        top=delegation(signer, *bins),
    )
    fetch = MemoryFetch(repository.files)
    assert Client(fetch, MemoryStore(repository.first_root()), now=NOW).find_target("file")
    assert sum("bin-" in name for name in fetch.asked) == 1


def test_succinct_hash_bins_are_searched(repository):
    signer = CryptoSigner.generate_ed25519()
    keyid = signer.public_key.keyid
    top = Delegations({keyid: signer.public_key}, None, SuccinctRoles([keyid], 1, 4, "bin"))
    delegate(repository, {f"bin-{digit:x}": (signer, listing("file")) for digit in range(16)}, top=top)
    assert client_of(repository).find_target("file")


def test_a_role_has_one_delegator_and_a_second_one_is_refused(repository):
    signer = CryptoSigner.generate_ed25519()
    top = delegation(signer, role_of(signer, "a", ["a/*"]), role_of(signer, "b", ["b/*"]))
    shared = delegation(signer, role_of(signer, "shared", ["*/*"]))
    roles = {name: (signer, listing(delegations=shared)) for name in ("a", "b")}
    delegate(repository, {**roles, "shared": (signer, listing("a/file", "b/file"))}, top=top)
    client = client_of(repository)
    assert client.find_target("a/file")
    with pytest.raises(BrokenMetadata, match="two roles delegate to it"):
        client.find_target("b/file")


def test_a_delegated_role_is_held_to_its_delegators_keys(repository):
    signer, other = CryptoSigner.generate_ed25519(), CryptoSigner.generate_ed25519()
    delegate(repository, {"a": (other, listing("file"))}, top=delegation(signer, role_of(signer, "a")))
    store = MemoryStore(repository.first_root())
    with pytest.raises(TooFewSignatures):
        client_of(repository, store).find_target("file")
    assert "a" not in store.files


def test_a_role_that_the_snapshot_does_not_list_is_refused_unread(repository):
    signer = CryptoSigner.generate_ed25519()
    repository.publish({}, delegations=delegation(signer, role_of(signer, "a")))
    with pytest.raises(MixedEditions):
        client_of(repository).find_target("file")


def test_only_so_many_delegated_roles_are_looked_at(repository):
    signer = CryptoSigner.generate_ed25519()
    names = [f"role-{number}" for number in range(MAX_DELEGATED + 1)]
    roles = {name: (signer, listing()) for name in names[:-1]} | {names[-1]: (signer, listing("file"))}
    top = delegation(signer, *(role_of(signer, name) for name in names))
    delegate(repository, roles, top=top)
    fetch = MemoryFetch(repository.files)
    assert Client(fetch, MemoryStore(repository.first_root()), now=NOW).find_target("file") is None
    assert sum("role-" in name for name in fetch.asked) == MAX_DELEGATED


# Hostile bytes


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"signed": NaN, "signatures": []}',
        b'{"signed": {"version": 1.0}, "signatures": []}',
        b'{"signed": {"version": 1e3}, "signatures": []}',
        b'{"signed": {"version": ' + b"9" * 5000 + b'}, "signatures": []}',
        b'{"signed": {"x": "\\ud800"}, "signatures": []}',
        b'{"signed": {}, "signed": {}, "signatures": []}',
        b'{"signed": ' + b"[" * 200_000 + b"]" * 200_000 + b', "signatures": []}',
        b'{"a":' * 80_000 + b"1" + b"}" * 80_000,
    ],
    ids=lambda data: data[:30].decode("latin-1"),
)
def test_what_is_not_strict_json_is_refused(hostile):
    with pytest.raises(BrokenMetadata):
        Trusted(hostile, now=NOW)


REPOSITORY = TufRepository(members=2, quorum=1)
ROLES = {"2.root.json": "1.root.json", "timestamp.json": "timestamp.json"}
ROLES |= {name: name for name in ("1.snapshot.json", "1.targets.json")}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8) | st.just("root"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


def outcome(name: str, data: bytes) -> None:
    """The whole workflow over ``data`` in the place of ``name``: trusted or refused, nothing else."""
    fetch = MemoryFetch({**REPOSITORY.files, f"metadata/{name}": data})
    client = Client(fetch, MemoryStore(REPOSITORY.first_root()), now=NOW)
    refusal = None
    try:
        client.find_target("charter.toml")
        client.download("prompts/system.en.md")
    except InvalidCharter as error:
        refusal = error
    assert refusal is None or (refusal.details["file"] and str(refusal))


@given(name=st.sampled_from(sorted(ROLES)), data=st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_whatever_bytes_come_only_a_charters_error_gets_out(name, data):
    outcome(name, data)


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


@given(st.data())
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_field_is_changed_only_a_charters_error_gets_out(data):
    """The changed metadata is signed again where it can be, so that what comes after the signatures is reached."""
    name = data.draw(st.sampled_from(sorted(ROLES)))
    document = json.loads(REPOSITORY.files[f"metadata/{ROLES[name]}"])
    if name == "2.root.json":
        document["signed"]["version"] = 2
    *way, last = data.draw(st.sampled_from([path for path in places(document) if path]))
    place = document
    for key in way:
        place = place[key]
    if data.draw(st.booleans()):
        place[last] = data.draw(JSON_VALUES)
    elif isinstance(place, dict):
        place[data.draw(st.text(max_size=8))] = place.pop(last)
    else:
        place.append(place[last])
    if way and way[0] == "signed" and data.draw(st.booleans()):
        try:
            payload = encode_canonical(document["signed"]).encode()
        except Exception:
            payload = b""
        signature = REPOSITORY.board[0].sign(payload)
        document["signatures"] = [{"keyid": signature.keyid, "sig": signature.signature}]
    outcome(name, json.dumps(document).encode())


def test_reading_a_charter_starts_no_http_client():
    code = (
        "import sys, commun.charter.client; print(sorted({'urllib3', 'requests', 'tuf.ngclient'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout == "[]\n"
