"""The reference page of hooks, written from their specs."""

import inspect
import re
from collections.abc import Callable, Iterator

from townlet_plugins import hookspecs

_INTRODUCTION = """\
# Hooks

A plugin is a module that an entry point of the group `townlet.plugins` names. It marks functions with
`townlet_plugins.hookimpl` and calls them as below; a marked function with any other name is an error, and so
is a plugin that offers nothing. How to write what they return: [plugins/writing.md](../plugins/writing.md);
what the town asks while it runs: [plugins/hooks.md](../plugins/hooks.md). This page is written from
`townlet_plugins/hookspecs.py` by `townlet_plugins.reference`, and a test compares the two.
"""

_MODULES = re.compile(r"\b(?:[a-z_]\w*\.)+(?=\w)")


def hooks() -> Iterator[tuple[str, Callable[..., object]]]:
    """Give the spec of every hook, in the order of the module."""
    for name, spec in vars(hookspecs).items():
        if name.startswith("townlet_") and inspect.isfunction(spec):
            yield name, spec


def hooks_markdown() -> str:
    """Write the page: every hook with when it is called, how, and what it returns."""
    lines = [_INTRODUCTION]
    for name, spec in hooks():
        signature = _MODULES.sub("", str(inspect.signature(spec)))
        said, _, returned = (inspect.getdoc(spec) or "").replace("``", "`").partition("\n\nReturns:\n")
        lines += [f"## {name}", "", "```python", f"def {name}{signature}", "```", "", said, ""]
        lines += [f"**Returns:** {' '.join(returned.split())}", ""]
    return "\n".join(lines).rstrip() + "\n"
