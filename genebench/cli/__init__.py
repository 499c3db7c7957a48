"""Command line: one file per command, and the exit status and message of every error."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from genebench._util.descriptors import closed_descriptors
from genebench._util.files import user_errors
from genebench.cli import (
    check,
    cite,
    compare,
    config,
    data,
    doctor,
    explain,
    figures,
    jobs,
    leaderboard,
    list_,
    new,
    output,
    predict,
    report,
    results,
    run,
    show,
    status,
    sweep,
    tune,
)
from genebench.cli.exit_status import INTERRUPTED, OK, READER_GONE, USER_ERROR
from genebench.errors import UserError
from genebench.hookspecs import DISTRIBUTION
from genebench.plugins.discovery import installed, refuse_namesake
from genebench.plugins.guards import no_exit

log = logging.getLogger("genebench")


class _Messages(logging.Handler):
    """Warnings on standard error, whatever stands there when they come: a live display may."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print the message, as all others are printed."""
        try:
            output.message(self.format(record), kept="\n\t")
        except Exception:  # noqa: BLE001  as every handler of the standard library does
            self.handleError(record)


_MOST_LETTERS = 1_000
"""Letters of a message. A longer one quotes a value that nobody reads."""
_FAULTS_OF_PATHS = {
    errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR,
    errno.EISDIR, errno.ENOSPC, errno.EDQUOT,
}  # fmt: skip
"""Errors that only another path, or another state of the disk, can mend."""


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        output.line(f"genebench {version(DISTRIBUTION)}")
        raise typer.Exit


def build_app() -> typer.Typer:
    """Return the whole command line, with the commands of plugins."""
    app = typer.Typer(
        name="genebench",
        help="Compare methods that infer target genes from landmark genes, fairly.",
        epilog="Example: genebench run --methods lsr,knn --protocol geo,gtex",
        context_settings={"help_option_names": ["-h", "--help"]},
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def _root(
        context: typer.Context,
        version: bool = typer.Option(  # noqa: ARG001  its callback prints it
            False, "--version", help="Print the version and exit.",
            callback=_version, is_eager=True,
        ),
    ) -> None:  # fmt: skip
        """Compare methods that infer target genes from landmark genes, fairly."""
        if context.invoked_subcommand != "doctor":  # which tells more, and must not stop here
            refuse_namesake()

    for command in (
        run, tune, sweep, jobs, check, report, compare, figures, explain, leaderboard, status,
        predict, data, list_, show, new, results, cite, config, doctor,
    ):  # fmt: skip
        command.register(app)
    for complaint in installed().add_commands(app):
        log.warning(complaint)
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line of ``genebench``, and end the process with its exit status."""
    # Linux ignores a signal without a handler in the first process of a container.
    signal.signal(signal.SIGTERM, _interrupt)
    # The next file that is opened would take the number of a closed descriptor.
    closed_descriptors()
    logging.basicConfig(
        format="genebench: %(message)s", level=logging.WARNING, handlers=[_Messages()]
    )
    with no_exit():
        sys.exit(invoke(arguments))


def _interrupt(*_: object) -> None:
    """Stop the command as Ctrl-C does: jobs write checkpoints, and release what they hold.

    Raises:
        KeyboardInterrupt: always.
    """
    raise KeyboardInterrupt


def invoke(arguments: Sequence[str] | None = None) -> int:
    """Run a command line, and return its exit status.

    Errors of the user are printed on one line. Only faults of genebench raise.
    """
    with output.standard_error():
        try:
            with output.standard_output():
                return _status_of(arguments)
        except UserError as error:
            return _complain(str(error))
        except output.ReaderGoneError:
            return READER_GONE


def _status_of(arguments: Sequence[str] | None) -> int:
    """Run a command line, and return its exit status.

    Raises:
        UserError: a mistake of the user.
        ReaderGoneError: nobody reads standard output any longer.
    """
    if any("\0" in argument for argument in arguments or ()):
        raise UserError("an argument has a zero byte. Remove it.")
    try:
        returned = build_app()(args=arguments, standalone_mode=False, prog_name="genebench")
    except typer.Exit as error:
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        returned = INTERRUPTED
    except typer.TyperException as error:
        return _refuse(error)
    except OSError as error:
        if error.errno not in _FAULTS_OF_PATHS or not isinstance(error.filename, str | bytes):
            raise
        with user_errors(Path(os.fsdecode(error.filename)), "Name another path."):
            raise
    if returned == INTERRUPTED:
        _say("interrupted. Finished jobs are kept. Run the same command to continue.")
    return returned if isinstance(returned, int) else OK


def _refuse(error: typer.TyperException) -> int:
    """Print why the parser refuses a command line. Without a command, print the help."""
    context = getattr(error, "ctx", None)
    # Typer does not export this class.
    if type(error).__name__ == "NoArgsIsHelpError":
        output.block(f"{error.format_message()}\n")
        return USER_ERROR
    command = context.command_path if context else "genebench"
    return _complain(f"{error.format_message()} (see {command} --help)")


def _complain(message: str) -> int:
    _say(f"error: {message}")
    return USER_ERROR


def _say(message: str) -> None:
    line = f"genebench: {' '.join(message.split())}"
    if len(line) > _MOST_LETTERS:
        # The start says what is wrong, and the end what to do.
        line = f"{line[: _MOST_LETTERS // 2]} … {line[-_MOST_LETTERS // 2 :]}"
    output.message(line)
