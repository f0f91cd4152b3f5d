"""The charter: the signed rules, and all that is needed to read, verify, propose, sign and adopt them.

Part of the trust ring: the standard library, cryptography, rfc8785, tuf and securesystemslib, and ``commun.errors``;
nothing else of Commun. No network, no database; the clock is handed in.

An auditor reads in this order.

What a charter says
    ``clauses.py`` every clause, typed, and its digest; ``errors.py`` every refusal; ``source.py`` the folder that
    people write, read whole (``source_*.py`` the steps: schema, values, rules between them, a model, text, the
    sentences of the mistakes; ``positions.py`` where each key of a TOML file stands)
What is signed
    ``keys.py`` the board's keys and their files, ``hardware.py`` PKCS#11; ``canonical.py`` and ``strict_json.py``
    which bytes; ``roles.py`` the four TUF roles of an edition
What is believed
    ``workflow.py`` and ``delegation.py`` TUF's client workflow (``client.py`` for any repository);
    ``entrenchment.py`` the rule that TUF does not have; ``chain.py`` each root and edition from the one before;
    ``freezes.py`` a freeze and its release; ``assents.py`` who signed when; ``trust.py`` what this machine has
    verified before; ``repository.py`` the published folder: bounded reads, one commit point; ``loader.py`` from
    that folder to ``edition.py``'s edition in force; ``history.py`` every edition since the first
What changes it
    ``amendment.py`` a proposed edition, ``amendment_file.py`` its file, ``signing.py`` its signatures,
    ``status.py`` how far it is; ``adoption.py``; ``freezing.py`` any one member's brake, ``release.py`` the
    quorum's decision; ``joining.py`` how a key comes to the board
What people read before they sign
    ``changes.py`` what differs, clause by clause, in words (``differences.py``, ``changed_*.py``); ``words.py``
    word by word (``alignment.py``), with what the eye does not see (``lookalikes.py``); ``comparison.py`` keeps a
    whole document within one bound, ``remarks.py`` tells files that change without a value; ``glance.py`` looks at
    a stranger's file before it is read; ``remarks.py`` files that change and say the same
"""
