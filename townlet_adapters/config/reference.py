"""Writes the reference page of configs from the models that validate them."""

from collections.abc import Iterator, Mapping

from townlet_adapters.config.model import RunConfig
from townlet_adapters.config.watching import SECTIONS, Watching
from townlet_adapters.validation import spell_value, words_for
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_plugins.catalogue import Catalogue
from townlet_plugins.factory import PartFactory

_INTRODUCTION = """\
# Configs

A config is one YAML file of at most 1 MiB without anchors, aliases and tags. Unknown keys are errors, types
are strict (`"7"` is not a number, `no` is text), and every error has file, line and key. `townlet config
check` prints all errors, `townlet config show` fills in every default, `townlet config schema` prints a JSON
Schema for editors. Relative paths of input files (maps, manifests, certificates, secrets) start in the
config's folder, those of output files in the run folder. A text value below `telemetry.sinks[].options`
may contain `${ENV:NAME}`; the value of the variable is in no digest and no stored config, and no command
prints it. Only messages about a connection name the host, wherever its name comes from.

A config may read variables named `TOWNLET_*` and files below its own folder, after links are resolved;
`--allow-env NAME` and `--allow-path DIR` allow more ([secrets.md](../operations/secrets.md)). This page is
generated from the models by `townlet_adapters.config.reference`, and a test compares the two.
"""


def config_markdown(catalogue: Catalogue) -> str:
    """Write the page: the config's own keys, then the options of everything in the catalogue."""
    lines = [_INTRODUCTION, "## Keys", "", *_table(RunConfig.model_json_schema())]
    watching = Watching.model_json_schema()
    for name in SECTIONS:
        lines += ["", f"## Keys below `observers.{name}`", "", _WATCHING, ""]
        lines += [
            *_HEAD,
            *(
                row
                for row in _rows(watching, watching, "observers.")
                if row.startswith(f"| `observers.{name}.")
            ),
        ]
    kinds: tuple[tuple[str, Mapping[str, PartFactory[object]]], ...] = (
        ("world", catalogue.worlds),
        ("policy", catalogue.policies),
        ("sink", catalogue.sinks),
        ("observer", catalogue.observers),
        ("stage", catalogue.stages),
    )
    for kind, factories in kinds:
        for name, factory in factories.items():
            lines += [
                "",
                f"## Options of the {kind} `{name}`",
                "",
                f"{factory.summary[:1].upper()}{factory.summary[1:]}.",
            ]
            rows = _table(factory.options.model_json_schema())
            lines += ["", *rows] if len(rows) > len(_HEAD) else ["", "It takes no options."]
    return "\n".join(lines) + "\n"


_WATCHING = """\
The world brings the named entries; `townlet config show` prints them all. An entry of a config with the same
name changes single keys of it, or replaces it when it has a form, triggers, parts or a value of its own.\
"""

_HEAD = ["| key | allowed | default | meaning |", "|---|---|---|---|"]


def _table(schema: JsonObject) -> list[str]:
    return [*_HEAD, *_rows(schema, schema, "")]


def _rows(root: JsonObject, schema: JsonObject, prefix: str) -> Iterator[str]:
    """Write one row for each key, followed by the keys below it."""
    properties = schema.get("properties")
    required = schema.get("required", ())
    for key, node in properties.items() if isinstance(properties, Mapping) else ():
        if not isinstance(node, Mapping):
            continue
        path = f"{prefix}{key}"
        branches = list(_branches(root, node))
        allowed = ", or ".join(dict.fromkeys(map(words_for, branches)))
        needed = isinstance(required, list) and key in required
        default = "required" if needed else _default(node)
        meaning = str(node.get("description", ""))
        yield f"| `{path}` | {_cell(allowed)} | {_cell(default)} | {_cell(meaning)} |"
        for branch in branches:
            yield from _inner(root, branch, path)


def _inner(root: JsonObject, branch: JsonObject, path: str) -> Iterator[str]:
    """Write the rows below a section, the values of a mapping, or the items of a list."""
    yield from _rows(root, branch, f"{path}.")
    patterns = branch.get("patternProperties")
    named = tuple(patterns.values()) if isinstance(patterns, Mapping) else ()
    for inner, step in (
        (branch.get("additionalProperties"), ".<name>"),
        *((each, ".<name>") for each in named),
        (branch.get("items"), "[]"),
    ):
        if isinstance(inner, Mapping):
            for part in _branches(root, inner):
                yield from _inner(root, part, f"{path}{step}")


def _branches(root: JsonObject, node: JsonObject) -> Iterator[JsonObject]:
    """Resolve references and unions."""
    definitions, reference = root.get("$defs"), node.get("$ref")
    if isinstance(reference, str) and isinstance(definitions, Mapping):
        target = definitions[reference.rpartition("/")[2]]
        if isinstance(target, Mapping):
            yield from _branches(root, target)
        return
    union = node.get("anyOf") or node.get("oneOf")
    if isinstance(union, list):
        for part in union:
            if isinstance(part, Mapping):
                yield from _branches(root, part)
        return
    yield node


def _default(node: JsonObject) -> str:
    value: JsonValue = node.get("default")
    if isinstance(value, Mapping | list):
        return "" if value else f"`{spell_value(value)}`"
    return f"`{spell_value(value)}`" if "default" in node else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
