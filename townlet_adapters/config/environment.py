"""``${ENV:NAME}``: values from the environment, where a config may have them and nowhere else."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from townlet_adapters.documents import Document, KeyPath, read_key
from townlet_core.errors import ConfigError, Problem
from townlet_core.jsonvalue import JsonValue
from townlet_plugins.access import Access

_REFERENCE = re.compile(r"\$\{ENV:([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NAMES_SECRET = re.compile(r".*_(env|file)")


@dataclass(frozen=True, slots=True)
class Substituted:
    """A document with the environment's values in it, and where they are.

    Attributes:
        document: the document to build from; it may hold secrets, so it goes into no message.
        raw: the text as written, by where it stood.
    """

    document: Document
    raw: Mapping[KeyPath, str]

    def unveil(self, problem: Problem) -> Problem:
        """Tell of a problem what was written instead of what the environment says."""
        at = read_key(problem.key)
        for path, text in self.raw.items():
            if path[: len(at)] == at:
                problem = replace(problem, found=text)
            secret = self.document.child(path).value
            if isinstance(secret, str) and secret:
                problem = replace(problem, allowed=problem.allowed.replace(secret, text))
        return problem

    def written(self, options: JsonValue, below: KeyPath) -> JsonValue:
        """Put what was written back into options that were validated; they start at ``below``."""
        for path, text in self.raw.items():
            if path[: len(below)] == below:
                options = _put(options, path[len(below) :], text)
        return options


def substitute(document: Document, access: Access) -> Substituted:
    """Replace every ``${ENV:NAME}`` below ``telemetry.sinks[].options``.

    Raises:
        ConfigError: when one stands anywhere else, in a key, below a key that names a secret, or names a
            variable that the config may not read or that is not set.
    """
    raw: dict[KeyPath, str] = {}
    problems: list[Problem] = []

    def replaced(path: KeyPath, text: str) -> str:
        if not _REFERENCE.search(text):
            return text
        problem = _refusal(document, path, text, access)
        if problem is not None:
            problems.append(problem)
            return text
        raw[path] = text
        return _REFERENCE.sub(lambda match: os.environ[match[1]], text)

    value = _mapped(document.value, (), replaced)
    if problems:
        raise ConfigError(*problems)
    return Substituted(Document(value, document.file, document.lines), raw)


def _refusal(document: Document, path: KeyPath, text: str, access: Access) -> Problem | None:
    """Say why a reference may not stand here."""
    match path:
        case ("telemetry", "sinks", int(), "options", *rest) if rest:
            key = rest[-1]
        case _:
            return document.problem(path, text, "${ENV:NAME} may stand below telemetry.sinks[].options only")
    if isinstance(key, str) and _NAMES_SECRET.fullmatch(key):
        return document.problem(path, text, f"'{key}' says where a secret is; write the name out")
    for name in _REFERENCE.findall(text):
        if not _NAME.fullmatch(name):
            return document.problem(path, text, "NAME in ${ENV:NAME} has letters, digits and _")
        try:
            value = access.variable(name, "")
        except ConfigError as error:
            (refused,) = error.problems
            return document.problem(path, refused.found, refused.allowed)
        if value is None:
            return document.problem(path, text, f"the variable {name} is not set; set it before the run")
    return None


def _mapped(value: JsonValue, path: KeyPath, change: Callable[[KeyPath, str], str]) -> JsonValue:
    """Copy a value with every text changed; keys are texts, too, and come with the path of their value."""
    if isinstance(value, str):
        return change(path, value)
    if isinstance(value, Mapping):
        for key in value:
            # A key is never substituted: at this path there is only refusal.
            change(("key", key), key)
        return {key: _mapped(item, (*path, key), change) for key, item in value.items()}
    if isinstance(value, list):
        return [_mapped(item, (*path, number), change) for number, item in enumerate(value)]
    return value


def _put(value: JsonValue, path: KeyPath, text: str) -> JsonValue:
    if not path:
        return text
    step = path[0]
    if isinstance(step, str) and isinstance(value, Mapping) and step in value:
        return {key: _put(item, path[1:], text) if key == step else item for key, item in value.items()}
    if isinstance(step, int) and isinstance(value, list | tuple) and step < len(value):
        return [_put(item, path[1:], text) if at == step else item for at, item in enumerate(value)]
    return value
