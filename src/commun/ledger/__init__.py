"""The ledger's pure core: Merkle tree, notes, checkpoints, cosignatures, policies, tiles, proofs of logging.

Part of the trust ring: the standard library, cryptography and ``commun.errors``; no clock, network or database: times,
files and the other side's answers are handed in. Every refusal is a LedgerError. In reading order:

- ``merkle.py``       hashes, roots, and proofs of inclusion and consistency, of trees and of subtrees
- ``tiles.py``        a log as plain files
- ``keys.py``         the keys of logs and witnesses
- ``note.py``         a text and the lines of those who signed it
- ``checkpoint.py``   a log's head, as such a text
- ``cosignature.py``  what a witness states about it
- ``policy.py``       which logs, which witnesses, and how many of them
- ``proof.py``        all of it in one file, for one entry
"""
