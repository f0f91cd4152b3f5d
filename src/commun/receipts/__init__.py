"""Receipts: what produced an answer, signed, committed to the ledger, and verified by anyone, offline.

Part of the trust ring: the standard library, cryptography, rfc8785, ``commun.errors``, ``commun.ledger`` and
``commun.charter`` (and with it tuf); no clock, network or database. docs/spec/receipt.md is for whoever writes another
verifier; tests/vectors/receipts has bundles to test it with.

In reading order:

- ``commitments.py``   values that are committed to and not told: salts, encodings
- ``statement.py``     what a receipt says; ``fields.py`` the bounds of each field, ``seeds.py`` how a seed is derived
- ``dsse.py``          the signed envelope
- ``issue.py``         what the server does once for each turn
- ``bundle.py``        the file with all that verifying takes
- ``verification.py``  the numbered steps; ``adopted.py`` the charter's, ``logged.py`` the ledger's,
                       ``seeded.py`` the seed's; ``sentences.py`` what they say
- ``errors.py``        every reason for a refusal
- ``command.py``       the same in words: ``commun receipt verify``, and the single file ``commun-verify``

Rules:

- a receipt is issued for every turn that ends, also a stopped, failed or temporary one, in the transaction that keeps
  the answer. An answer that a kill -9 or a power cut has cut short has none;
- the ledger gets SHA-256 of the envelope and nothing else. Without the salts, which only the conversation's owner has,
  nothing can be learnt from a receipt about what was written: erasing the salts erases that;
- a receipt binds the server to its word. Whether the word is true is what an audit computes.

Importing this package imports nothing else: a verifier starts at once, and loads tuf only for a charter.
"""
