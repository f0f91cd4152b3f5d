"""The ledger: an append-only transparency log in C2SP's formats, its one writer, and its verification.

Part of the trust ring: the standard library, cryptography, rfc8785 and ``commun.errors``; no network, no database.
Every refusal is a LedgerError. The pure core takes times, files and the other side's answers as they are handed in; in
reading order:

- ``merkle.py``       hashes, roots, and proofs of inclusion and consistency, of trees and of subtrees
- ``tiles.py``        a log as plain files
- ``keys.py``         the keys of logs and witnesses
- ``note.py``         a text and the lines of those who signed it
- ``checkpoint.py``   a log's head, as such a text
- ``cosignature.py``  what a witness states about it
- ``policy.py``       which logs, which witnesses, and how many of them
- ``proof.py``        all of it in one file, for one entry

Around it, the log as files:

- ``entries.py``      what is recorded, and that it tells nothing of what anybody wrote
- ``files.py``        a log's files: read with distrust, put in place whole
- ``staging.py``      what is decided and not yet published
- ``log.py``          the one writer; ``opening.py`` its name and key, and what must not begin again; ``writer.py`` the
                      queue before it
- ``verification.py`` a whole log, ours or not; ``copying.py`` a copy of it
- ``comparison.py``   two heads of one log: whether both can be true, and the evidence where they cannot

A witness of other logs:

- ``witness.py``      the rules of a cosignature; ``witness_keys.py`` whose it is
- ``witness_state.py`` what was cosigned, never forgotten
"""
