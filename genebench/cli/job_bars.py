"""Bars of the jobs that run at once, in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID
from rich.table import Column
from rich.text import Text

from genebench._util.progress import without_curves
from genebench.cli import output

MOST_BARS = 10
"""Jobs that have a line of their own. The others are counted."""
_OTHER_LINES = 3
"""Lines of the terminal for the number of other jobs, the total and the cursor."""


class JobBars:
    """Lines of jobs at the bottom of the terminal, which vanish at the end.

    They are drawn inside a block of ``with bars.drawn():``. Each job has a bar and a clock. The
    text of a single job wraps. Those of several jobs have one line each, without curves.

    Args:
        translation: translation of characters that the terminal lacks.
    """

    ended = ""

    def __init__(self, translation: Mapping[int, int | str]) -> None:
        self._translation = translation
        self._console = Console(stderr=True)
        bar = BarColumn(bar_width=10)
        # Only drawn by the live display below, which adds lines of its own.
        self._progress = Progress(
            _Message(translation), bar, _Clock(), console=self._console, expand=True
        )
        self._tasks: dict[str, TaskID] = {}

    @contextmanager
    def drawn(self) -> Iterator[None]:
        """Draw the lines while the block runs. Lines that others print stand above them."""
        live = Live(
            console=self._console, get_renderable=self._lines, transient=True,
            refresh_per_second=4, redirect_stdout=False,
        )  # fmt: skip
        with output.lines_above(self._console), live:
            yield

    def show(self, key: str, text: str, done: int, total: int) -> None:
        """Show a job, or its progress. Its clock starts when it is first shown."""
        if key not in self._tasks:
            self._tasks[key] = self._progress.add_task("", total=None)
        self._progress.update(self._tasks[key], completed=done, total=total, description=text)

    def remove(self, key: str) -> None:
        """Show a job no longer, if it is shown."""
        if key in self._tasks:
            self._progress.remove_task(self._tasks.pop(key))

    def _lines(self) -> Group:
        """Return what the terminal shows now."""
        tasks = self._progress.tasks
        most = max(min(MOST_BARS, self._console.height - _OTHER_LINES), 1)
        for task in tasks:
            task.fields["alone"] = len(tasks) == 1
        lines = [self._progress.make_tasks_table(tasks[:most])]
        more = f"… and {len(tasks) - most} more\n" if len(tasks) > most else ""
        total = f"{more}{self.ended} {len(tasks)} running".translate(self._translation)
        return Group(*lines, Text(total))


class _Message(ProgressColumn):
    """Name and message of a job: all of it, or one line if other jobs are shown."""

    def __init__(self, translation: Mapping[int, int | str]) -> None:
        super().__init__(table_column=Column(ratio=1))
        self._translation = translation

    def render(self, task: Task) -> Text:
        if task.fields["alone"]:
            return Text(task.description.translate(self._translation))
        text = without_curves(task.description).translate(self._translation)
        # The ellipsis of rich is a character that some terminals lack.
        return Text(text, no_wrap=True, overflow="crop" if self._translation else "ellipsis")


class _Clock(ProgressColumn):
    """Time since a job started, and the time left as far as it can be estimated."""

    def render(self, task: Task) -> Text:
        elapsed, left = int(task.elapsed or 0), task.time_remaining
        remaining = "" if left is None or task.finished else f", {_clock(int(left))} left"
        return Text(f"{_clock(elapsed)}{remaining}", justify="right")


def _clock(seconds: int) -> str:
    """Return a time as minutes and seconds, or as hours, minutes and seconds."""
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
