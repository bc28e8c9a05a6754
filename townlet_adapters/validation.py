"""Validates a document with a typed model; each problem has file, line, key and what is allowed."""

import json
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypeVar

import pydantic
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import ErrorDetails, PydanticCustomError

from townlet_core.errors import ConfigError, Problem
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.suggestions import nearest
from townlet_plugins.access import VARIABLE
from townlet_plugins.factory import OptionsModel

if TYPE_CHECKING:
    # Options import this module for their errors, and most commands list options without reading YAML.
    from townlet_adapters.documents import Document, KeyPath

ModelT = TypeVar("ModelT", bound=OptionsModel)

Text: TypeAlias = Annotated[str, Field(min_length=1)]
Variable: TypeAlias = Annotated[str, Field(pattern=VARIABLE)]
"""Name of an environment variable."""

_LONGEST_VALUE = 60
_REPORTED = "reported"
_KEY = "[key]"
"""What pydantic adds to the path of a key that is wrong itself."""
_UNKNOWN_KEY = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
"""What pydantic calls a key that a model or a dataclass does not have."""
_JSON_TYPES = "text, a number, true, false, null, a list, or a mapping with texts as keys"

_TYPE_WORDS = MappingProxyType(
    {
        "integer": "a whole number",
        "number": "a number",
        "string": "text",
        "boolean": "true or false",
        "array": "a list",
        "object": "a mapping",
        "null": "null",
    }
)
_KINDS: Mapping[type, str] = MappingProxyType(
    {
        str: "text",
        bool: "a truth value",
        int: "a number",
        float: "a number",
        list: "a list",
        type(None): "null",
    }
)
_BOUNDS = MappingProxyType(
    {
        "minimum": " from {}",
        "exclusiveMinimum": " above {}",
        "maximum": " up to {}",
        "exclusiveMaximum": " below {}",
        "minLength": " of at least {} characters",
        "maxLength": " of at most {} characters",
        "minItems": " of at least {} items",
        "maxItems": " of at most {} items",
        "minProperties": " of at least {} keys",
        "maxProperties": " of at most {} keys",
        "multipleOf": " that {} divides",
        "pattern": " like {}",
    }
)


class Section(BaseModel):
    """A part of a config: immutable, without unknown keys; errors do not quote its content.

    A dataclass of the core among its fields is validated in the same way.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )


def validate(document: "Document", model: type[ModelT], path: "KeyPath" = ()) -> ModelT:
    """Convert a document, or its part at ``path``, into a typed model.

    Types are strict whatever the model says: "7" is not a number. A list may become a tuple.

    Raises:
        ConfigError: with a problem for every key that is unknown, missing, or of a wrong type or range; that
            of an unknown key names the nearest known one.
    """
    part = document.child(path)
    for place, value in _not_json(part.value):
        raise ConfigError(part.problem(place, f"a value of type {type(value).__name__}", _JSON_TYPES))
    try:
        return model.model_validate_json(_in_order(part.value), strict=True)
    except pydantic.ValidationError as error:
        schema = model.model_json_schema()
        details = error.errors(include_url=False)
        problems = [_problem_of(each, part, schema) for each in details if not _is_echo(each, details)]
        problems.sort(key=lambda problem: problem.line or 0)
        raise ConfigError(*problems) from error
    except ValueError as error:
        raise ConfigError(part.problem((), str(error), "")) from error


def told(error: ConfigError) -> PydanticCustomError:
    """Convert a problem into what a validator raises, so that it is reported unchanged and without the value.

    A ``ValueError`` would quote the value, and the ``ConfigError`` itself would prevent other problems from
    being found. The problem's key is a sibling of the one being validated.
    """
    problem = error.problems[0]
    context = {"key": problem.key, "found": problem.found, "allowed": problem.allowed}
    return PydanticCustomError(_REPORTED, "{found}; {allowed}", context)


def spell_value(value: object) -> str:
    """Format a value for a message, shortened to fit a line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def _spell(value: object, document: "Document") -> str:
    """Format a value of a document, or only its type when the document may not be quoted."""
    return spell_value(value) if document.quotable else _KINDS.get(type(value), "a mapping")


def _in_order(value: JsonValue) -> bytes:
    """Format a value as JSON with its keys in the order of the text, which matters in maps."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, default=dict).encode()


def _not_json(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple["KeyPath", object]]:
    """List the parts that no text could hold; Python code may pass any object within a mapping."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                yield path, key
            else:
                yield from _not_json(item, (*path, key))
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value):
            yield from _not_json(item, (*path, at))
    elif value is not None and not isinstance(value, str | bool | int | float):
        yield path, value


def _is_echo(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Decide whether an error only repeats another one.

    A list counts as too short when pydantic leaves out its wrong items, and a default that depends on other
    keys cannot be computed when one of those is wrong.
    """
    if detail["type"] == "default_factory_not_called":
        return True
    loc = detail["loc"]
    wrong_items = any(len(each["loc"]) > len(loc) and each["loc"][: len(loc)] == loc for each in details)
    return detail["type"] == "too_short" and wrong_items


def _problem_of(  # noqa: PLR0911 - one answer for each kind of mistake
    detail: ErrorDetails, document: "Document", schema: JsonObject
) -> Problem:
    """Convert an error of pydantic: where it is in the text, and everything that is allowed there."""
    path = _written_path(detail, document.value)
    kind, message = detail["type"], detail["msg"]
    if kind in _UNKNOWN_KEY:
        name = str(path[-1])
        return document.problem(path, "unknown key", nearest(name, _known_keys(schema, path[:-1])))
    if detail["loc"][-1:] == (_KEY,):
        words = _words_for_keys(schema, path[:-1]) or message
        return document.problem(path, f"the key {spell_value(path[-1])}", f"keys here are {words}")
    allowed = ", or ".join(dict.fromkeys(words_for(part) for part in _schemas_at(schema, path))) or message
    if kind == "missing":
        return document.problem(path, "this key is missing", allowed)
    if kind == "union_tag_invalid":
        # The key that selects the branch, such as ``use``; pydantic reports the mapping around it.
        tag, wrong = detail["ctx"]["discriminator"].strip("'"), detail["ctx"]["tag"]
        known = re.findall(r"'([^']*)'", detail["ctx"]["expected_tags"])
        return document.problem((*path, tag), _spell(wrong, document), nearest(wrong, known))
    if kind == "union_tag_not_found":
        tag = detail["ctx"]["discriminator"].strip("'")
        return document.problem((*path, tag), "this key is missing", allowed)
    if kind == _REPORTED:
        context = detail["ctx"]
        return document.problem((*path[:-1], context["key"]), context["found"], context["allowed"])
    if kind in ("value_error", "assertion_error"):
        return document.problem(path, _spell(detail["input"], document), str(detail["ctx"]["error"]))
    return document.problem(path, _spell(detail["input"], document), allowed)


def _written_path(detail: ErrorDetails, value: JsonValue) -> "KeyPath":
    """Remove what pydantic adds to a path that is not a key of the text, such as the branch of a union."""
    path: list[str | int] = []
    for step in detail["loc"]:
        if isinstance(value, Mapping) and step in value:
            value = value[str(step)]
        elif isinstance(value, list | tuple) and isinstance(step, int):
            value = value[step] if step < len(value) else None
        else:
            continue
        path.append(step)
    if detail["type"] == "missing":
        path.append(detail["loc"][-1])
    return tuple(path)


def _schemas_at(schema: JsonObject, path: "KeyPath") -> list[JsonObject]:
    """Find the schemas of the part at ``path``: one for each branch that has such a part."""
    found = _branches(schema, schema)
    for step in path:
        found = [
            branch for part in found for inner in _inside(part, step) for branch in _branches(schema, inner)
        ]
    return found


def _inside(schema: JsonObject, step: str | int) -> list[JsonObject]:
    """Find the schemas of one key or one item."""
    if isinstance(step, int):
        items = schema.get("prefixItems")
        found = [items[step] if isinstance(items, list) and step < len(items) else schema.get("items")]
    else:
        properties, patterns = schema.get("properties"), schema.get("patternProperties")
        found = [properties.get(step)] if isinstance(properties, Mapping) else []
        if isinstance(patterns, Mapping):
            found += [part for pattern, part in patterns.items() if re.search(pattern, step)]
        if not any(found):
            found = [schema.get("additionalProperties")]
    return [part for part in found if isinstance(part, Mapping)]


def _branches(root: JsonObject, schema: JsonObject) -> list[JsonObject]:
    """Resolve references and unions of a schema."""
    reference = schema.get("$ref")
    if isinstance(reference, str):
        definitions = root.get("$defs")
        target = definitions.get(reference.rpartition("/")[2]) if isinstance(definitions, Mapping) else None
        return _branches(root, target) if isinstance(target, Mapping) else []
    union = schema.get("anyOf") or schema.get("oneOf")
    if isinstance(union, list):
        return [branch for part in union if isinstance(part, Mapping) for branch in _branches(root, part)]
    return [schema]


def _known_keys(schema: JsonObject, path: "KeyPath") -> list[str]:
    keys: dict[str, None] = {}
    for part in _schemas_at(schema, path):
        properties = part.get("properties")
        keys |= dict.fromkeys(properties if isinstance(properties, Mapping) else ())
    return list(keys)


def _words_for_keys(schema: JsonObject, path: "KeyPath") -> str:
    """Describe in words what a schema allows as a key of the mapping at ``path``."""
    words: dict[str, None] = {}
    for part in _schemas_at(schema, path):
        patterns, names = part.get("patternProperties"), part.get("propertyNames")
        if isinstance(patterns, Mapping):
            words |= {words_for({"type": "string", "pattern": each}): None for each in patterns}
        if isinstance(names, Mapping):
            words[words_for({"type": "string", **names})] = None
    return ", or ".join(words)


def words_for(schema: JsonObject) -> str:
    """Describe in words what a schema allows."""
    if isinstance(values := schema.get("enum"), list):
        return "one of " + ", ".join(spell_value(value) for value in values)
    if "const" in schema:
        return spell_value(schema["const"])
    word = _TYPE_WORDS.get(str(schema.get("type")), "another value")
    for key, between in _BOUNDS.items():
        if key in schema:
            word += between.format(spell_value(schema[key]))
    return word
