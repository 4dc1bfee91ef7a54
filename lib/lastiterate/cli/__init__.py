"""The command line `lastiterate`: which rate, which cooldown, how to go on, what the norms say; a file a command.

A command's file has HELP, a line; EXAMPLE, a call; `add_arguments`, and `run`, which returns the exit status. What they raise
ends here: bad input, a missing extra or a file that cannot be had in one line and status 2, Ctrl-C in one line and status 130;
anything else is a bug, and said to be one. With LASTITERATE_DEBUG=1 the traceback is shown.
"""

import argparse
import contextlib
import importlib
import os
import signal
import sys
import threading
import warnings
from types import ModuleType
from typing import NoReturn

import lastiterate
from lastiterate import _extras

GROUPS = {
    "schedules": ("schedule",),
    "theory": ("bound", "extend", "transfer", "optimal", "refine"),
    "logs": ("log", "predict"),
    "training": ("train", "sweep", "tokenize"),
    "this repository": ("figures", "notebook", "data", "worstcase", "convex", "problems", "laws", "site"),
}
COMMANDS = tuple(name for names in GROUPS.values() for name in names)
GRACE = 10.0  # seconds that an interrupted command has to clean up
ABOUT = """Learning-rate-schedule theory to understand, check and use. Schedules are written as `schedules.named` takes them: a
name with parameters, such as wsd:cooldown=0.2,warmup=300, or a CSV file. G and D are 1 unless given, so that bounds are in units
of D*G and rates in units of D/G; where a rate that was tuned in practice is given (--lr), what is printed is in its units."""


class Parser(argparse.ArgumentParser):
    """Of one command: an error is one line, and no word is empty (a variable of a shell, perhaps, that is not set)."""

    def parse_args(self, args=None, namespace=None):
        found = super().parse_args(args, namespace)
        for action in self._actions:
            value = getattr(found, action.dest, None)
            if any(isinstance(word, str) and not word.strip() for word in (value if isinstance(value, list) else [value])):
                name = action.option_strings[-1] if action.option_strings else action.dest
                if value != action.default:
                    self.error(f"{name} must not be empty, got {value!r}")
        return found

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}; see {self.prog} --help\n")


def main(argv: list[str] | None = None) -> int:
    """Entry point; returns the exit status."""
    debug = os.environ.get("LASTITERATE_DEBUG", "") not in ("", "0")
    try:
        status = _run(sys.argv[1:] if argv is None else list(argv))
        sys.stdout.flush()
        return status
    except KeyboardInterrupt as interrupt:
        said = str(interrupt) or "nothing is half written, the same command goes on from there"
        print(f"\ninterrupted: {said}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, OSError, _extras.MissingExtra) as error:
        if debug:
            raise
        print(f"error: {_line(error)}", file=sys.stderr)
        return 2
    except Exception as error:
        if debug:
            raise
        said = f"{type(error).__name__}: {_line(error)}"
        print(f"bug: {said} (please report it, with what LASTITERATE_DEBUG=1 prints: {lastiterate.HOME}/issues)", file=sys.stderr)
        return 70


def _run(argv):
    if not argv or argv[0] in ("-h", "--help"):
        print(_help())
        return 0 if argv else 2
    if argv[0] == "--version":
        print(f"lastiterate {lastiterate.__version__}")
        return 0
    if argv[0] not in COMMANDS:
        raise ValueError(f"the command must be one of {', '.join(COMMANDS)}, got {argv[0][:80]!r}")
    if os.environ.get("LASTITERATE_PARENT"):  # of `make` and of a run of many notebooks: ends with them
        from lastiterate import _processes

        _processes.end_with(_processes.environment(_processes.PARENT, 1, 1, 2**31 - 1))
        del os.environ[_processes.PARENT]
    command = command_module(argv[0])
    args = parser(argv[0], command).parse_args(argv[1:])
    with warnings.catch_warnings(), _interruptible():
        warnings.showwarning = _note
        return command.run(args)


@contextlib.contextmanager
def _interruptible():
    """SIGTERM, which schedulers of a cluster send, is like Ctrl-C, wherever it arrives: an error that a library makes of it is an
    interrupt still, what is raised in a callback that cannot raise, such as one of garbage collection, is raised again, and
    where it is swallowed, the process ends after some seconds (files are whole)."""
    ending = threading.Event()

    def end():
        print("\ninterrupted: the same command goes on from there", file=sys.stderr, flush=True)
        os._exit(130)

    timer = threading.Timer(GRACE, end)
    timer.daemon = True

    def interrupt(*_):
        if not ending.is_set():
            ending.set()
            timer.start()
        raise KeyboardInterrupt

    def send():
        if not timer.finished.is_set():  # else the command has ended meanwhile
            os.kill(os.getpid(), signal.SIGINT)

    def again(lost):
        if lost.exc_type is KeyboardInterrupt:
            threading.Timer(0.05, send).start()  # not here, in a callback again
        else:
            hook(lost)

    hook = sys.unraisablehook
    try:
        before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, which alone gets signals
        before = {}
    if before:
        sys.unraisablehook = again
    try:
        yield
    except Exception as error:
        if ending.is_set():
            raise KeyboardInterrupt from error
        raise
    finally:
        timer.cancel()
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _note(message, *_):
    """A warning, as a line."""
    print(f"note: {_line(message)}", file=sys.stderr)


def command_module(name: str) -> ModuleType:
    """The module of a command."""
    return importlib.import_module(f"lastiterate.cli.{name}")


def parser(name: str, command: ModuleType) -> Parser:
    """Parser of a command's options."""
    made = Parser(
        prog=f"lastiterate {name}",
        description=command.__doc__,
        epilog=f"example: {command.EXAMPLE}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(made)
    return made


def _help():
    lines = ["usage: lastiterate COMMAND …, lastiterate COMMAND --help, lastiterate --version", "", ABOUT]
    for group, names in GROUPS.items():
        lines += ["", f"{group}:", *(f"  {name:<10} {command_module(name).HELP}" for name in names)]
    return "\n".join(lines)


def _line(error):
    if isinstance(error, OSError) and error.filename is not None and error.strerror and type(error).__module__ == "builtins":
        said = "no such file" if isinstance(error, FileNotFoundError) else error.strerror.lower()
        return f"{said}: {str(error.filename)[:200]!r}"
    return "; ".join(part.strip() for part in str(error).splitlines() if part.strip()) or type(error).__name__
