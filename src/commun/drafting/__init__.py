"""Drafting: what helps people to write a charter; nothing here decides anything.

Everything that it makes is a folder of files, and takes effect only when the board signs and adopts it.

- ``founding.py``  the first charter of a new Commun, and the one-step amendment of a board of one; ``template/``
- ``editing.py``   a member, a quorum, a model, a date changed in ``charter.toml``, with its comments kept
- ``desk.py``      the documents that collect signatures on this machine
- ``models.py``    a model on this machine as a clause
"""
