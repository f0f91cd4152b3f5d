"""``python -m commun.cli``."""

from commun.cli.main import main

main()
