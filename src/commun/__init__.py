"""Commun: an open AI assistant that nobody alone can change without everybody seeing it."""

__version__ = "0.1.0"
