"""The module of the entry point ``sqlite``; every ``config check`` imports it, so it imports little."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from townlet_core.ports import TelemetrySinkProtocol
from townlet_plugins import hookimpl
from townlet_plugins.factory import BuildContext, Factory, PartFactory


class SqliteOptions(BaseModel):
    """Options of the sink ``sqlite``."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)

    path: Annotated[str, Field(min_length=1)] = "town.sqlite"
    """the file; a relative path starts in the run folder"""


@hookimpl
def townlet_sinks() -> Sequence[PartFactory[TelemetrySinkProtocol]]:
    """Offer the sink ``sqlite``."""
    return (Factory("sqlite", SqliteOptions, build, "events and frames in one SQLite file", target="path"),)


def build(options: SqliteOptions, context: BuildContext) -> TelemetrySinkProtocol:
    """Build the sink.

    Raises:
        NoRunFolderError: when the path is relative and the run has no folder.
    """
    from townlet_sink_sqlite.transport import SqliteTransport  # noqa: PLC0415 - only building a sink needs it

    return context.delivering_sink("sqlite", SqliteTransport(context.output_path(options.path)))
