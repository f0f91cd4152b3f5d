"""Backup and restore: one file that holds a Commun, and a fresh folder made of it.

- ``archive.py``: the file, a plain tar behind a manifest; read with distrust;
- ``making.py``: what goes in, in which order, while the server runs;
- ``restoring.py``: checked whole beside its place, then put there at once; what becomes of the ledger.
"""
