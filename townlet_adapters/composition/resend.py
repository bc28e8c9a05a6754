"""Starts the sinks of a run without its town, to deliver what the run left in its outboxes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from townlet_adapters.composition.loading import load_config
from townlet_adapters.composition.parts import make_context
from townlet_adapters.composition.sinks import LAST_SECONDS, stop_sinks
from townlet_adapters.config.source import Override
from townlet_core.errors import ConfigError, Problem
from townlet_core.ports import TelemetrySinkProtocol
from townlet_plugins.access import NOTHING_ELSE, Allowed

_SPOOL: Final = "spool_dir"  # the option of a sink that keeps an outbox


@contextmanager
def open_outboxes(
    file: Path,
    outboxes: Sequence[Path],
    overrides: Sequence[Override] = (),
    allowed: Allowed = NOTHING_ELSE,
) -> Iterator[Mapping[Path, TelemetrySinkProtocol]]:
    """Start the sinks of a config on the outboxes that a run left, without a town; they deliver at once.

    Args:
        file: the config that the run had; its sinks have the destinations and the secrets.
        outboxes: folders called ``<sink>-<number>``, by the sink's number in the config.
        overrides: values instead of the config's.
        allowed: variables and folders that the config may read in addition.

    Yields:
        The sink of each outbox, started.

    Raises:
        ConfigError: when the config has no such sink.
        TownletError: when one of them cannot be started.
    """
    config = load_config(file, overrides, allowed)
    kept = {
        f"{choice.part.name}-{number}": choice.path
        for number, choice in enumerate(config.sinks, start=1)
        if _SPOOL in choice.part.options
    }
    with ExitStack() as stack:
        sinks: dict[Path, TelemetrySinkProtocol] = {}
        started: list[TelemetrySinkProtocol] = []
        # What is not delivered by now stays where it is.
        stack.callback(stop_sinks, started, LAST_SECONDS)
        for outbox in outboxes:
            if outbox.name not in kept:
                known = f"a config with that sink in that place; this one has: {', '.join(kept) or 'none'}"
                found = f"no sink has the outbox {outbox.name}"
                raise ConfigError(Problem("telemetry.sinks", found, known, str(file)))
            path = kept[outbox.name]
            there = Override((*path, "options", _SPOOL), str(outbox.absolute().parent), "DIR")
            moved = load_config(file, (*overrides, there), allowed)
            (choice,) = (each for each in moved.sinks if each.path == path)
            at_sink = replace(make_context(moved, None), producer=int(outbox.name.rpartition("-")[2]))
            sink = moved.build(choice.part, choice.path, at_sink)
            with moved.located((*choice.path, "options")):
                sink.start()
            started.append(sink)
            sinks[outbox] = sink
        yield sinks
