"""Bringing conversations in from other assistants' exports. Everything here reads what a stranger wrote.

- ``spool.py``: an upload on the disk, sealed under a key that only the process has;
- ``items.py``: the conversations of an export, one at a time, however large it is;
- ``chatgpt.py``, ``open_webui.py``, ``own.py``: what one of them says, as an outline;
- ``outline.py``: an outline, and the tree of questions and answers that is made of it;
- ``formats.py``: which of them it is;
- ``apart.py``: a long one, read in a process of its own.
"""
