"""Replaces ``${ENV:NAME}`` by values from the environment, only where a config may contain them."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from townlet_adapters.documents import Document, KeyPath, is_unicode, read_key
from townlet_core.errors import ConfigError, Problem
from townlet_core.jsonvalue import JsonValue
from townlet_plugins.access import VARIABLE, Access

_REFERENCE = re.compile(r"\$\{ENV:([^}]*)\}")
_NAME = re.compile(VARIABLE)
_NAMES_SECRET = re.compile(r".*_(env|file)")


@dataclass(frozen=True, slots=True)
class Substituted:
    """A document that contains values from the environment, and the places of these values.

    Attributes:
        document: the document to build from; it may contain secrets, so no message quotes it.
        raw: the text as written, by its place in the document.
    """

    document: Document
    raw: Mapping[KeyPath, str]

    def unveil(self, problem: Problem) -> Problem:
        """Replace values of the environment in a problem by what was written."""
        at = read_key(problem.key)
        for path, text in self.raw.items():
            if path[: len(at)] == at:
                problem = replace(problem, found=text)
            secret = self.document.child(path).value
            if isinstance(secret, str) and secret:
                problem = replace(problem, allowed=problem.allowed.replace(secret, text))
        return problem

    def written(self, options: JsonValue, below: KeyPath) -> JsonValue:
        """Restore the text as written in validated options, which are at ``below`` in the document."""
        for path, text in self.raw.items():
            if path[: len(below)] == below:
                options = _put(options, path[len(below) :], text)
        return options


def substitute(document: Document, access: Access) -> Substituted:
    """Replace every ``${ENV:NAME}`` below ``telemetry.sinks[].options``.

    Raises:
        ConfigError: when a reference is anywhere else, in a key, or below a key that names a secret, or when
            it names a variable that the config may not read or that is not set.
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
    """Return the reason why a reference is not allowed here, or None."""
    match path:
        case ("telemetry", "sinks", int(), "options", *rest) if rest:
            key = rest[-1]
        case _:
            return document.problem(path, text, "${ENV:NAME} is allowed below telemetry.sinks[].options only")
    if isinstance(key, str) and _NAMES_SECRET.fullmatch(key):
        return document.problem(path, text, f"'{key}' names where a secret is; write the name out")
    for name in _REFERENCE.findall(text):
        if not _NAME.fullmatch(name):
            return document.problem(path, text, "NAME in ${ENV:NAME} consists of letters, digits and _")
        try:
            value = access.variable(name, "")
        except ConfigError as error:
            (refused,) = error.problems
            return document.problem(path, refused.found, refused.allowed)
        if value is None or not is_unicode(value):
            why = "not set; set it before the run" if value is None else "not UTF-8; set it to other text"
            return document.problem(path, text, f"the variable {name} is {why}")
    return None


def _mapped(value: JsonValue, path: KeyPath, change: Callable[[KeyPath, str], str]) -> JsonValue:
    """Copy a value with every text changed; ``change`` is also called for each key, with another path."""
    if isinstance(value, str):
        return change(path, value)
    if isinstance(value, Mapping):
        for key in value:
            # A key is never replaced: at this path every reference is refused.
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
