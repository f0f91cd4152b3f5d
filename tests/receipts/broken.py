"""The broken bundles, each named by its one fault; all else in each of them is in order."""

import broken_charters
import broken_files
import broken_ledgers
import broken_seeds
import broken_statements
from broken_case import Broken
from golden import Case


def broken() -> list[Case]:
    made = Broken()
    for module in (broken_files, broken_statements, broken_charters, broken_ledgers, broken_seeds):
        for step in module.STEPS:
            step(made)
    return made.cases
