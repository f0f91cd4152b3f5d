"""The charter: the signed rules, and all that is needed to read, verify, propose, sign and adopt them.

Part of the trust ring: the standard library, cryptography, rfc8785, tuf and securesystemslib, and ``commun.errors``;
nothing else of Commun. No network, no database; the clock is handed in.

- ``clauses.py``     what a charter says, typed, and how each clause is digested
- ``source.py``      the folder that people write: read whole, every mistake named
- ``keys.py``        the board's keys: their text form, their files, what a key must not be
- ``workflow.py``    the TUF client workflow, and Commun's rules between its steps
- ``repository.py``  the published folder: bounded reads, one commit point
- ``loader.py``      from a published folder to the edition in force
- ``amendment.py``   a proposed edition while it collects signatures
- ``adoption.py``    from a signed amendment to an adopted edition
- ``freezing.py``    any one member's brake, and the quorum's release
- ``history.py``     every edition since the first, each verified under the board of its time
- ``changes.py``     what differs between two charters, clause by clause, in words; ``words.py`` word by word
"""
