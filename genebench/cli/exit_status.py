"""Exit statuses of every command."""

from __future__ import annotations

OK = 0
FAILED = 1
"""The command did its work, and a job, a check, a download or a record failed."""
USER_ERROR = 2
"""The command could not do its work."""
STOPPED = 75
"""The convention of BSD for a failure that may pass (EX_TEMPFAIL): a job ended without a result."""
READER_GONE = 141
"""The convention of shells for output that nobody reads, as after ``| head``: 128 + SIGPIPE."""
INTERRUPTED = 130
"""The convention of shells for an interrupt: 128 + SIGINT."""
