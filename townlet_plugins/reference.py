"""The reference page of hooks, generated from their specs."""

import inspect
import re
from collections.abc import Callable, Iterator

from townlet_plugins import hookspecs

_INTRODUCTION = """\
# Hooks

A plugin is a module that an entry point of the group `townlet.plugins` names. It marks functions with
`townlet_plugins.hookimpl` and names them as below. A marked function with any other name is an error, and so
is a plugin that offers nothing. [plugins/writing.md](../plugins/writing.md) shows how to write what they
return, and [plugins/hooks.md](../plugins/hooks.md) describes the hooks that are called while the town runs.
This page is generated from `townlet_plugins/hookspecs.py` by `townlet_plugins.reference`, and a test compares
the two.
"""

_MODULES = re.compile(r"\b(?:[a-z_]\w*\.)+(?=\w)")


def hooks() -> Iterator[tuple[str, Callable[..., object]]]:
    """Yield the spec of every hook, in the order of the module."""
    for name, spec in vars(hookspecs).items():
        if name.startswith("townlet_") and inspect.isfunction(spec):
            yield name, spec


def hooks_markdown() -> str:
    """Format the page: for every hook, its signature, when it is called, and what it returns."""
    lines = [_INTRODUCTION]
    for name, spec in hooks():
        signature = _MODULES.sub("", str(inspect.signature(spec)))
        said, _, returned = (inspect.getdoc(spec) or "").replace("``", "`").partition("\n\nReturns:\n")
        lines += [f"## {name}", "", "```python", f"def {name}{signature}", "```", "", said, ""]
        lines += [f"**Returns:** {' '.join(returned.split())}", ""]
    return "\n".join(lines).rstrip() + "\n"
