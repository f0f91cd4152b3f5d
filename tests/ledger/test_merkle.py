"""Merkle trees: other people's vectors, the draft's accumulated ones, and a naive tree that is obviously right."""

import base64
import json
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import FrozenInstanceError
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive_tree
from commun.ledger import merkle
from commun.ledger.errors import BadProof, LedgerError, OutOfRange
from commun.ledger.merkle import EMPTY_ROOT, MAX_SIZE, Frontier, leaf_hash
from naive_tree import Leaves
from shared_vectors import vectors

MOST = 130
LEAVES = [leaf_hash(bytes([number])) for number in range(MOST)]
READER = Leaves(LEAVES)
ROOTS = [naive_tree.root(LEAVES[:size]) for size in range(MOST + 1)]


def subtrees(most: int) -> list[tuple[int, int]]:
    """By the draft's words, not by our check: start is a multiple of the power of two at or above the width."""
    found = []
    for end in range(most + 1):
        for start in range(end + 1):
            power = 1
            while power < end - start:
                power *= 2
            if start == end or start % power == 0:
                found.append((start, end))
    return found


def decoded(text: str | None) -> bytes:
    return base64.b64decode(text or "")


CHECKS: dict[str, Callable[[dict[str, Any], list[bytes]], None]] = {
    "inclusion": lambda case, proof: merkle.check_inclusion(
        index=case["leafIdx"],
        size=case["treeSize"],
        leaf=decoded(case["leafHash"]),
        proof=proof,
        root=decoded(case["root"]),
    ),
    "consistency": lambda case, proof: merkle.check_consistency(
        old=case["size1"],
        size=case["size2"],
        proof=proof,
        old_root=decoded(case["root1"]),
        root=decoded(case["root2"]),
    ),
    "subtreeinclusion": lambda case, proof: merkle.check_subtree_inclusion(
        index=case["leafIdx"],
        start=case["start"],
        end=case["end"],
        leaf=decoded(case["leafHash"]),
        proof=proof,
        root=decoded(case["root"]),
    ),
    "subtreeconsistency": lambda case, proof: merkle.check_subtree_consistency(
        start=case["start"],
        end=case["end"],
        size=case["size"],
        proof=proof,
        subtree_root=decoded(case["root1"]),
        root=decoded(case["root2"]),
    ),
}


@pytest.mark.parametrize(
    ("kind", "count"), [("inclusion", 98), ("consistency", 98), ("subtreeinclusion", 204), ("subtreeconsistency", 118)]
)
def test_every_vector_of_transparency_dev_is_decided_as_it_says(kind: str, count: int):
    decided: Counter[bool] = Counter()
    for file in sorted((vectors("merkle") / "testdata" / kind).rglob("*.json")):
        case = json.loads(file.read_text())
        proof = [decoded(item) for item in case["proof"] or []]
        try:
            CHECKS[kind](case, proof)
            refused = False
        except (BadProof, OutOfRange):
            refused = True
        assert refused == case["wantErr"], file
        decided[refused] += 1
    assert decided.total() == count
    assert decided[True]
    assert decided[False]


# draft-ietf-plants-merkle-tree-certs, appendix "Subtree Test Vectors": one SHA-256 over every output for 130 leaves.
def test_the_hash_of_every_subtree_up_to_130_leaves_is_the_drafts():
    digest = sha256()
    for start, end in subtrees(MOST):
        digest.update(f"[{start}, {end}) {merkle.root_of_subtree(start, end, READER).hex()}\n".encode())
    assert digest.hexdigest() == "b82806ad4265bb151c1119c0f4db437bb4d1a1f887b3a7fba1cd4ebf552e3e81"


def line(prefix: str, proof: tuple[bytes, ...]) -> bytes:
    return (" ".join([prefix, *(item.hex() for item in proof)]) + "\n").encode()


def test_every_subtree_inclusion_proof_up_to_130_leaves_is_the_drafts_and_holds():
    digest = sha256()
    for start, end in subtrees(MOST):
        root = merkle.root_of_subtree(start, end, READER)
        for index in range(start, end):
            proof = merkle.prove_subtree_inclusion(index, start, end, READER)
            digest.update(line(f"{index} [{start}, {end})", proof))
            merkle.check_subtree_inclusion(
                index=index, start=start, end=end, leaf=LEAVES[index], proof=proof, root=root
            )
    assert digest.hexdigest() == "ac2a8f989e44d99e399db448050ff5f19757df53cfb716aa81015d3955d8163f"


def test_every_subtree_consistency_proof_up_to_130_leaves_is_the_drafts_and_holds():
    digest = sha256()
    by_end = subtrees(MOST)
    for size in range(MOST + 1):
        for start, end in by_end:
            if end > size:
                break
            proof = merkle.prove_subtree_consistency(start, end, size, READER)
            digest.update(line(f"[{start}, {end}) {size}", proof))
            merkle.check_subtree_consistency(
                start=start,
                end=end,
                size=size,
                proof=proof,
                subtree_root=merkle.root_of_subtree(start, end, READER),
                root=ROOTS[size],
            )
    assert digest.hexdigest() == "10fa99b37bf9bf9ffa26b412fbd98bd75363256d0b75d61bc4538b9c9c5a0a74"


def test_every_inclusion_and_consistency_proof_up_to_130_leaves_is_the_naive_trees_and_holds():
    for size in range(1, MOST + 1):
        for index in range(size):
            proof = merkle.prove_inclusion(index, size, READER)
            if size <= 40:
                assert list(proof) == naive_tree.path(index, LEAVES[:size])
            merkle.check_inclusion(index=index, size=size, leaf=LEAVES[index], proof=proof, root=ROOTS[size])
            old = index + 1
            proof = merkle.prove_consistency(old, size, READER)
            if size <= 40:
                assert list(proof) == naive_tree.proof(old, LEAVES[:size])
            merkle.check_consistency(old=old, size=size, proof=proof, old_root=ROOTS[old], root=ROOTS[size])


def refuses(check: Callable[..., None], **arguments: Any) -> None:
    with pytest.raises(LedgerError):
        check(**arguments)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 11, 16, 21])
def test_no_changed_inclusion_proof_holds(size: int):
    for index in range(size):
        proof = list(merkle.prove_inclusion(index, size, READER))
        right = {"index": index, "size": size, "leaf": LEAVES[index], "proof": proof, "root": ROOTS[size]}
        for at in range(len(proof)):
            for other in (LEAVES[index], ROOTS[size], bytes(32), b"", proof[at][:-1], proof[at] + b"\x00"):
                if other != proof[at]:
                    refuses(merkle.check_inclusion, **right | {"proof": [*proof[:at], other, *proof[at + 1 :]]})
            refuses(merkle.check_inclusion, **right | {"proof": proof[:at] + proof[at + 1 :]})
            refuses(merkle.check_inclusion, **right | {"proof": [*proof[:at], proof[at], *proof[at:]]})
        refuses(merkle.check_inclusion, **right | {"proof": [*proof, ROOTS[size]]})
        refuses(merkle.check_inclusion, **right | {"leaf": b""})
        refuses(merkle.check_inclusion, **right | {"root": b""})
        for other_index in range(size + 2):
            if other_index != index:
                refuses(merkle.check_inclusion, **right | {"index": other_index})
        for other_size in {0, size - 1, size * 2, size * 4}:
            if len(naive_path_shape(index, other_size)) != len(proof):
                refuses(merkle.check_inclusion, **right | {"size": other_size})


def naive_path_shape(index: int, size: int) -> list[int]:
    shape = []
    while size > 1 and index < size:
        k = naive_tree.split(size)
        index, size = (index, k) if index < k else (index - k, size - k)
        shape.append(k)
    return shape


@pytest.mark.parametrize("size", [2, 3, 5, 6, 7, 8, 12, 17])
def test_no_changed_consistency_proof_holds(size: int):
    for old in range(1, size + 1):
        proof = list(merkle.prove_consistency(old, size, READER))
        right = {"old": old, "size": size, "proof": proof, "old_root": ROOTS[old], "root": ROOTS[size]}
        for at in range(len(proof)):
            refuses(merkle.check_consistency, **right | {"proof": [*proof[:at], bytes(32), *proof[at + 1 :]]})
            refuses(merkle.check_consistency, **right | {"proof": [*proof[:at], b"", *proof[at + 1 :]]})
            refuses(merkle.check_consistency, **right | {"proof": proof[:at] + proof[at + 1 :]})
            refuses(merkle.check_consistency, **right | {"proof": [*proof[:at], proof[at], *proof[at:]]})
        refuses(merkle.check_consistency, **right | {"proof": [*proof, ROOTS[1]]})
        refuses(merkle.check_consistency, **right | {"old_root": bytes(32)})
        refuses(merkle.check_consistency, **right | {"root": bytes(32)})
        if old != size:
            refuses(merkle.check_consistency, **right | {"old_root": ROOTS[size], "root": ROOTS[old]})
            refuses(merkle.check_consistency, **right | {"old": size, "size": old})
            refuses(merkle.check_consistency, **right | {"old_root": b""})


def test_a_rewritten_history_has_no_proof_of_consistency():
    forged = [*LEAVES[:3], leaf_hash(b"another"), *LEAVES[4:9]]
    proof = merkle.prove_consistency(6, 9, Leaves(forged))
    with pytest.raises(BadProof):
        merkle.check_consistency(old=6, size=9, proof=proof, old_root=ROOTS[6], root=naive_tree.root(forged))


def test_from_the_empty_tree_nothing_is_proven():
    with pytest.raises(OutOfRange):
        merkle.check_consistency(old=0, size=3, proof=[], old_root=EMPTY_ROOT, root=ROOTS[3])
    with pytest.raises(OutOfRange):
        merkle.prove_consistency(0, 3, READER)


@pytest.mark.parametrize("number", [-1, MAX_SIZE + 1, 2**64, 2**70, True, 1.0, "1", None])
def test_a_number_that_cannot_be_one_is_refused_everywhere(number: Any):
    for check in (
        lambda: merkle.check_inclusion(index=number, size=2, leaf=LEAVES[0], proof=[LEAVES[1]], root=ROOTS[2]),
        lambda: merkle.check_inclusion(index=0, size=number, leaf=LEAVES[0], proof=[LEAVES[1]], root=ROOTS[2]),
        lambda: merkle.check_consistency(old=number, size=2, proof=[], old_root=ROOTS[1], root=ROOTS[2]),
        lambda: merkle.check_consistency(old=1, size=number, proof=[], old_root=ROOTS[1], root=ROOTS[2]),
        lambda: merkle.prove_inclusion(number, 2, READER),
        lambda: merkle.prove_inclusion(0, number, READER),
        lambda: merkle.prove_consistency(number, 2, READER),
        lambda: merkle.prove_consistency(1, number, READER),
        lambda: merkle.root_of_tree(number, READER),
        lambda: Frontier(number),
    ):
        with pytest.raises(OutOfRange):
            check()


def test_proofs_of_the_largest_tree_are_computed_without_its_leaves():
    class Sparse:
        def read_nodes(self, nodes):
            return [sha256(f"{node.level} {node.index}".encode()).digest() for node in nodes]

    root = merkle.root_of_tree(MAX_SIZE, Sparse())
    for index in (0, 1, 2**62, MAX_SIZE - 1):
        leaf = Sparse().read_nodes([merkle.Node(0, index)])[0]
        proof = merkle.prove_inclusion(index, MAX_SIZE, Sparse())
        assert len(proof) <= 63
        if index == MAX_SIZE - 1:  # a node of its own, so that the proof is made of the root's own parts
            merkle.check_inclusion(index=index, size=MAX_SIZE, leaf=leaf, proof=proof, root=root)
        else:
            with pytest.raises(BadProof):  # the made-up nodes do not hash to each other
                merkle.check_inclusion(index=index, size=MAX_SIZE, leaf=leaf, proof=proof, root=root)
    merkle.prove_consistency(MAX_SIZE - 1, MAX_SIZE, Sparse())


def test_a_proof_asks_its_reader_once():
    for make in (
        lambda reader: merkle.prove_inclusion(77, 130, reader),
        lambda reader: merkle.prove_consistency(77, 130, reader),
        lambda reader: merkle.root_of_tree(130, reader),
    ):
        reader = Leaves(LEAVES)
        make(reader)
        assert reader.calls == 1


def test_a_reader_that_gives_too_few_nodes_is_refused():
    class Forgetful:
        def read_nodes(self, nodes):
            return [bytes(32)] * (len(nodes) - 1)

    with pytest.raises(OutOfRange):
        merkle.prove_inclusion(3, 9, Forgetful())


def test_a_frontier_grows_as_the_tree_does():
    grown = Frontier()
    assert grown.root() == EMPTY_ROOT
    for size in range(1, MOST + 1):
        grown = grown.extend([LEAVES[size - 1]])
        assert grown.size == size
        assert grown.root() == ROOTS[size]
        assert len(grown.hashes) == size.bit_count()
    for cut in range(0, MOST, 7):
        assert Frontier().extend(LEAVES[:cut]).extend(LEAVES[cut:]) == grown
    with pytest.raises(FrozenInstanceError):
        grown.size = 1  # type: ignore[misc]


def test_a_frontier_that_cannot_be_one_is_refused():
    with pytest.raises(OutOfRange):
        Frontier(3, (LEAVES[0],))
    with pytest.raises(OutOfRange):
        Frontier(1, (b"short",))
    with pytest.raises(BadProof):
        Frontier().extend([b"short"])


def test_a_leaf_cannot_be_passed_off_as_a_node():
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != merkle.node_hash(LEAVES[0], LEAVES[1])
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@settings(deadline=None)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=300), st.data())
def test_trees_of_any_entries_agree_with_the_naive_tree(entries: list[bytes], data: st.DataObject):
    leaves = [leaf_hash(entry) for entry in entries]
    reader, size = Leaves(leaves), len(leaves)
    root = naive_tree.root(leaves)
    assert merkle.root_of_leaves(leaves) == merkle.root_of_tree(size, reader) == root
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.prove_inclusion(index, size, reader)
    assert list(proof) == naive_tree.path(index, leaves)
    merkle.check_inclusion(index=index, size=size, leaf=leaves[index], proof=proof, root=root)
    old = data.draw(st.integers(1, size))
    proof = merkle.prove_consistency(old, size, reader)
    assert list(proof) == naive_tree.proof(old, leaves)
    old_root = naive_tree.root(leaves[:old])
    merkle.check_consistency(old=old, size=size, proof=proof, old_root=old_root, root=root)


hashes = st.one_of(st.binary(max_size=40), st.binary(min_size=32, max_size=32))
numbers = st.one_of(st.integers(-2, 20), st.integers(2**63 - 3, 2**63 + 1), st.integers())


@given(st.tuples(numbers, numbers, numbers), st.tuples(hashes, hashes), st.lists(hashes, max_size=70))
def test_whatever_a_proof_is_made_of_only_its_errors_escape(three, two, proof):
    (first, second, third), (left, right) = three, two
    for check, arguments in (
        (merkle.check_inclusion, {"index": first, "size": second, "leaf": left, "root": right}),
        (merkle.check_consistency, {"old": first, "size": second, "old_root": left, "root": right}),
        (
            merkle.check_subtree_inclusion,
            {"index": first, "start": second, "end": third, "leaf": left, "root": right},
        ),
        (
            merkle.check_subtree_consistency,
            {"start": first, "end": second, "size": third, "subtree_root": left, "root": right},
        ),
    ):
        with suppress(BadProof, OutOfRange):
            check(proof=proof, **arguments)  # type: ignore[operator]
