"""The command line: one module for each group of commands, ``main.py`` puts them together."""

from commun.cli.main import app, main

__all__ = ["app", "main"]
