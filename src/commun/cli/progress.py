"""Progress bars for steps that take more than a second."""

import contextlib
from collections.abc import Iterator
from typing import Any

from commun.cli.words import _


class Report:
    """Shows what a long step does: one bar a stage (``engine.weights.Progress``)."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(_(stage), total=total or None)
        self._bars.update(self._tasks[stage], completed=done, total=total or None)


@contextlib.contextmanager
def progress() -> Iterator[Report]:
    """Progress bars on standard error, so that standard output stays clean for scripts."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield Report(bars)
