"""How a part is built: its name, its options, and the function that builds it from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar, runtime_checkable

from townlet_core.dto.stream import StreamSettings
from townlet_core.errors import ContractError, NoRunFolderError
from townlet_core.hook_runner import HookRunner
from townlet_core.jsonvalue import JsonObject, JsonValue
from townlet_core.ports import TelemetrySinkProtocol, Transport
from townlet_plugins.access import Access


class OptionsModel(Protocol):
    """A class whose instances are validated options; every pydantic model is one."""

    @classmethod
    def model_validate_json(cls, json_data: bytes, *, strict: bool) -> Self:
        """Validate options in JSON; with ``strict``, types are not converted.

        Raises:
            ValueError: when they are not valid; the error of pydantic names the key.
        """
        ...

    @classmethod
    def model_json_schema(cls) -> dict[str, JsonValue]:
        """Describe the options as JSON Schema."""
        ...

    def model_dump(self, *, mode: str) -> dict[str, JsonValue]:
        """Return the options with all defaults; ``mode="json"`` returns JSON and masks secrets."""
        ...


class Delivery(Protocol):
    """How composition builds a sink around a transport."""

    def __call__(self, context: "BuildContext", name: str, transport: Transport) -> TelemetrySinkProtocol:
        """Return a sink with buffer, worker thread and retries."""
        ...


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What composition passes to a factory beside the options.

    Attributes:
        seed: the run's seed.
        access: what the config may read; every variable and every file that options name goes through it.
        run_dir: run folder to which relative output paths refer, or None with ``--no-out``.
        run_id: id of the run, for envelopes.
        producer: number of the sink within the run, from 1; each has its own sequence numbers.
        stream: how a sink sends the state; it receives no more state than that needs.
        hooks: the affordance hooks that a world may call; None when the config activates no hooks.
        delivery: builds a sink around a transport; None outside of a run.
    """

    seed: int
    access: Access
    run_dir: Path | None
    run_id: str
    producer: int = 1
    stream: StreamSettings = field(default_factory=StreamSettings)
    hooks: HookRunner | None = None
    delivery: Delivery | None = None

    def delivering_sink(self, name: str, transport: Transport) -> TelemetrySinkProtocol:
        """Return a sink that delivers through a transport; it has a buffer, a worker thread and retries.

        Args:
            name: name of the sink in health and summary.
            transport: the destination; the sink opens, uses and closes it.

        Raises:
            ContractError: when the context is not that of a run.
        """
        if self.delivery is None:
            raise ContractError(f"the sink '{name}' can be built only in a run; use townlet.open_simulation")
        return self.delivery(self, name, transport)

    def output_path(self, path: str) -> Path:
        """Return the path of a part's output; a relative path is below the run folder.

        Raises:
            NoRunFolderError: when it is relative and the run has no folder; a sink is then left out, with a
                warning.
        """
        place = Path(path)
        if place.is_absolute():
            return place
        if self.run_dir is None:
            raise NoRunFolderError(
                f"the output '{path}' is not opened: its path starts in the run folder, and this run has "
                "none; give an absolute path, or let the run have a folder"
            )
        return self.run_dir / place


OptionsT = TypeVar("OptionsT", bound=OptionsModel)
ModelT = TypeVar("ModelT", bound=OptionsModel)
ProductT_co = TypeVar("ProductT_co", covariant=True)


class Validate(Protocol):
    """How composition validates a section of a config, with file, line and key of each problem."""

    def __call__(self, model: type[ModelT]) -> ModelT:
        """Validate; raises ``ConfigError`` with file, line and key."""
        ...


@dataclass(frozen=True, slots=True)
class Prepared(Generic[ProductT_co]):
    """A part with validated options, ready to be built.

    Attributes:
        name: the factory's name.
        options: the options with all defaults and embedded files, as JSON; they may hold values from the
            environment, so no representation shows them.
        build: builds the part; raises ``ConfigError`` with keys relative to ``options``.
        watch: for a world, what the observers ``stability``, ``promotion`` and ``narration`` of its runs
            watch: the sections of the same names below ``observers``, which a config changes.
    """

    name: str
    options: Mapping[str, JsonValue] = field(repr=False)
    build: Callable[[BuildContext], ProductT_co] = field(repr=False)
    watch: JsonObject = field(repr=False, default_factory=dict)


class PartFactory(Protocol[ProductT_co]):
    """A factory as composition uses it; only the factory and the config know the type of its options."""

    @property
    def name(self) -> str:
        """What a config writes after ``use:``."""
        ...

    @property
    def options(self) -> type[OptionsModel]:
        """Model of the part's ``options``."""
        ...

    @property
    def summary(self) -> str:
        """One line for people."""
        ...

    @property
    def target(self) -> str:
        """Option that ``--sink NAME=TARGET`` sets; empty when there is none."""
        ...

    @property
    def origin(self) -> str:
        """``module:name`` of what builds the part."""
        ...

    @property
    def kpis(self) -> str:
        """Name of the observer that keeps the key figures of such a world; empty when there is none."""
        ...

    def prepare(self, validate: Validate, access: Access) -> Prepared[ProductT_co]:
        """Validate the options and read the files that they name; raises ``ConfigError``."""
        ...


@runtime_checkable
class SupportsStarter(Protocol):
    """The additional protocol of the factory of a world that can be copied into a folder and edited."""

    def starter(self) -> Mapping[str, bytes]:
        """Return the files: name -> content; the first one is the run config."""
        ...


@dataclass(frozen=True, slots=True)
class StoredWorld:
    """What a snapshot holds of a world.

    Attributes:
        options: the ``options`` of the config's section ``world``.
        part: the snapshot's part ``world``.
        identity: the snapshot's identity.
    """

    options: JsonObject
    part: JsonObject
    identity: Mapping[str, str]


@runtime_checkable
class MigratesSnapshots(Protocol):
    """A world's factory that can bring older snapshots up to date."""

    def migrate(self, schema: int, stored: StoredWorld) -> StoredWorld:
        """Bring what was stored with a schema number of snapshots to the next number.

        Raises:
            SnapshotError: when it is damaged.
        """
        ...


@dataclass(frozen=True, slots=True)
class Factory(Generic[OptionsT, ProductT_co]):
    """How one part is built.

    Attributes:
        name: what a config writes after ``use:``.
        options: model of the part's ``options``; every ``config check`` imports it, so keep that cheap.
        build: builds the part, and imports heavy modules only then; raises ``ConfigError`` with keys relative
            to ``options``.
        summary: one line for people.
        target: option that ``--sink NAME=TARGET`` sets; empty when there is none.
        embed: replaces the names of files in the options by the content of those that the config may read,
            so that digests cover it and a snapshot holds it; raises ``ConfigError`` with keys relative to
            ``options``.
        kpis: for a world, the name of the observer that keeps its key figures: every run of such a world has
            it, with the options below ``observers.kpis``; empty when there is none.
        watch: for a world, returns what ``Prepared.watch`` holds; None for nothing.
    """

    name: str
    options: type[OptionsT]
    build: Callable[[OptionsT, BuildContext], ProductT_co]
    summary: str = ""
    target: str = ""
    embed: Callable[[OptionsT, Access], OptionsT] | None = None
    kpis: str = ""
    watch: Callable[[OptionsT, Access], JsonObject] | None = None

    @property
    def origin(self) -> str:
        """``module:name`` of what builds the part."""
        # A callable that is not a function, such as a partial, has neither name.
        named = self.build if hasattr(self.build, "__qualname__") else type(self.build)
        return f"{named.__module__}:{named.__qualname__}"

    def prepare(self, validate: Validate, access: Access) -> Prepared[ProductT_co]:
        """Validate the options and read the files that they name; raises ``ConfigError``."""
        valid = validate(self.options)
        whole = valid if self.embed is None else self.embed(valid, access)
        watch = {} if self.watch is None else self.watch(valid, access)
        options = whole.model_dump(mode="json")
        return Prepared(self.name, options, lambda context: self.build(valid, context), watch)
