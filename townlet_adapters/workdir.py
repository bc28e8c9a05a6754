"""Takes the working directory off the path when ``python -m`` starts a module of this package.

``python -m`` puts that directory first, so a file in it could take the place of any module. Nothing is
imported here that Python has not loaded by then; what Python itself imports earlier cannot be helped from
here, which is why SECURITY.md advises ``python -P -m``.
"""

import os
import sys


def leave_working_directory() -> None:
    """Remove the first entry of the path if ``python -m`` put it there to start a module of this package.

    It stays where our own code is found by it alone: in a checkout that is not installed.
    """
    if sys.argv[:1] != ["-m"] or sys.flags.safe_path or _started().partition(".")[0] != __package__:
        return
    first, *others = map(os.path.realpath, sys.path)
    root = os.path.realpath(f"{__file__}/../..")
    if first == os.path.realpath(os.curdir) and (first != root or root in others):
        del sys.path[0]


def _started() -> str:
    """Return the module that follows ``-m`` on the command line of Python; empty when there is none."""
    words = iter(sys.orig_argv[1:])
    for word in words:
        if word in {"-W", "-X", "--check-hash-based-pycs"}:
            next(words, "")
        elif not word.startswith(("-W", "-X", "--")):
            _, found, rest = word.partition("m")
            if found:
                return rest or next(words, "")
    return ""
