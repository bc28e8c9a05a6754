"""Builds, starts and stops the sinks of a run, with the transforms of each."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Final

from townlet_adapters.config.model import DEFAULT_SINK, RedactSection, RenameResidentsSection, ValidateSection
from townlet_adapters.config.resolve import ResolvedConfig, SinkChoice
from townlet_adapters.secrets import configured_secret
from townlet_adapters.telemetry.options import EVENTS_FILE
from townlet_core.dispatch import SinkRoute
from townlet_core.errors import NoRunFolderError, TownletError
from townlet_core.ports import TelemetrySinkProtocol
from townlet_core.transforms.base import Transform
from townlet_core.transforms.redact import Redact
from townlet_core.transforms.rename import RenameResidents, RenameSettings
from townlet_core.transforms.validate import Validate
from townlet_plugins.factory import BuildContext
from townlet_plugins.offers import broken

_LOG = logging.getLogger(__name__)

DRAIN_SECONDS: Final = 10.0
"""How long the sinks may take to deliver what they still hold when a run ends."""

LAST_SECONDS: Final = 1.0
"""What a sink has of them in any case, for its last attempt."""


@dataclass(frozen=True, slots=True)
class BuiltSink:
    """A sink that is not started.

    Attributes:
        choice: what the config says of it.
        route: how messages get to it.
    """

    choice: SinkChoice
    route: SinkRoute


def build_sinks(
    config: ResolvedConfig, context: BuildContext, notify: Callable[[str], object]
) -> tuple[BuiltSink, ...]:
    """Build every sink; one that needs a run folder is left out where there is none, and reported."""
    built: list[BuiltSink] = []
    opened: Counter[str] = Counter()
    for number, choice in enumerate(config.sinks, start=1):
        stream = choice.stream
        try:
            at_sink = replace(context, producer=number, stream=stream)
            sink = config.build(choice.part, choice.path, at_sink)
        except NoRunFolderError as error:
            if not _is_events_file(choice):
                notify(str(error))
            continue
        # Two sinks of a kind are told apart by number: file, file-2.
        kind = choice.part.name
        opened[kind] += 1
        name = kind if opened[kind] == 1 else f"{kind}-{opened[kind]}"
        transforms = tuple(_transforms(config, choice))
        route = SinkRoute(name, sink, stream.state_every, transforms, stream.observations)
        built.append(BuiltSink(choice, route))
    return tuple(built)


def start_sinks(config: ResolvedConfig, built: Sequence[BuiltSink], stack: ExitStack) -> None:
    """Start sinks; ``stack`` stops those that were started."""
    started: list[TelemetrySinkProtocol] = []
    stack.callback(stop_sinks, started, DRAIN_SECONDS)
    for each in built:
        with (
            config.located((*each.choice.path, "options")),
            broken(f"the sink '{each.choice.part.name}' cannot start", TownletError),
        ):
            each.route.sink.start()
        started.append(each.route.sink)


def _is_events_file(choice: SinkChoice) -> bool:
    """Return whether a sink writes the events of the run folder: a run without a folder misses none of it."""
    return choice.part.name == DEFAULT_SINK and choice.part.options.get("path") == EVENTS_FILE


def stop_sinks(sinks: Sequence[TelemetrySinkProtocol], seconds: float) -> None:
    """Stop sinks, perhaps for the second time; a failure is logged, so that it hides no error of the run."""
    until = time.monotonic() + seconds
    for sink in sinks:
        try:
            sink.stop(max(LAST_SECONDS, until - time.monotonic()))
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - whatever a third party's sink raises
            _LOG.exception("a sink failed when it was stopped")


def _transforms(config: ResolvedConfig, choice: SinkChoice) -> Iterator[Transform]:
    """Build the transforms of one sink."""
    for number, section in enumerate(choice.transforms):
        match section:
            case ValidateSection():
                yield Validate(config.catalogue.events)
            case RedactSection():
                yield Redact(section.fields, section.kinds)
            case RenameResidentsSection():
                with config.located((*choice.path, "transforms", number)):
                    key = configured_secret("key", section.key_env, section.key_file, config.access)
                yield RenameResidents(RenameSettings(key), config.catalogue.events)
