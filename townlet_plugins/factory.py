"""The recipe for a part: a name, the options it takes, and how it is built from them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Protocol, Self, TypeVar

from townlet_core.dto.stream import StreamSettings
from townlet_core.errors import NoRunFolderError
from townlet_core.jsonvalue import JsonValue
from townlet_core.ports import AffordanceHooks
from townlet_plugins.access import Access


class OptionsModel(Protocol):
    """A class whose instances are validated options; every pydantic model is one."""

    @classmethod
    def model_validate_json(cls, json_data: bytes, *, strict: bool) -> Self:
        """Validate options given as JSON, with ``strict`` without any conversion between types.

        Raises:
            ValueError: when they are not valid; pydantic's own says where.
        """
        ...

    @classmethod
    def model_json_schema(cls) -> dict[str, JsonValue]:
        """Describe the options as JSON Schema."""
        ...

    def model_dump(self, *, mode: str) -> dict[str, JsonValue]:
        """Spell the options with every default filled in; ``mode="json"`` gives JSON and masks secrets."""
        ...


@dataclass(frozen=True, slots=True)
class BuildContext:
    """What composition tells a factory beside the options.

    Attributes:
        seed: the run's seed.
        access: what the config may read; every variable and every file that options name goes through it.
        run_dir: run folder that relative output paths start from, or None with ``--no-out``.
        run_id: id of the run, for envelopes.
        producer: number of the sink among those of the run, from 1; each has a sequence of its own.
        stream: how a sink is asked to send the state that it is shown; it is shown no more than that needs.
        hooks: the affordance hooks that a world may ask, None when the config activates none.
    """

    seed: int
    access: Access
    run_dir: Path | None
    run_id: str
    producer: int = 1
    stream: StreamSettings = field(default_factory=StreamSettings)
    hooks: AffordanceHooks | None = None

    def output_path(self, path: str) -> Path:
        """Give the place of what a part writes: a relative path starts in the run folder.

        Raises:
            NoRunFolderError: when it is relative and the run has no folder; a sink is left out then, and a
                person is told.
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
    """How composition turns what a config says into a model: it knows the text, its lines and its keys."""

    def __call__(self, model: type[ModelT]) -> ModelT:
        """Validate; raises ``ConfigError`` with file, line and key."""
        ...


@dataclass(frozen=True, slots=True)
class Prepared(Generic[ProductT_co]):
    """A part whose options are known to be valid; what is left is to build it.

    Attributes:
        name: the factory's name.
        options: the options with every default filled in and files embedded, as JSON; they may hold what
            the environment substituted, so they are in no representation.
        build: makes the part; raises ``ConfigError`` with keys relative to ``options``.
    """

    name: str
    options: Mapping[str, JsonValue] = field(repr=False)
    build: Callable[[BuildContext], ProductT_co] = field(repr=False)


class PartFactory(Protocol[ProductT_co]):
    """A factory as the door hands it on: what its options look like is between it and the config."""

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
        """Option that ``--sink NAME=TARGET`` sets; empty where there is no such thing."""
        ...

    @property
    def origin(self) -> str:
        """``module:name`` of what builds the part."""
        ...

    def prepare(self, validate: Validate, access: Access) -> Prepared[ProductT_co]:
        """Have the options validated and the files that they name read; raises ``ConfigError``."""
        ...


@dataclass(frozen=True, slots=True)
class Factory(Generic[OptionsT, ProductT_co]):
    """How one part is made.

    Attributes:
        name: what a config writes after ``use:``.
        options: model of the part's ``options``; cheap to import, for every ``config check`` does.
        build: makes the part, importing what is heavy only now; raises ``ConfigError`` with keys relative
            to ``options``.
        summary: one line for people.
        target: option that ``--sink NAME=TARGET`` sets; empty where there is no such thing.
        embed: puts the content of files that the options name, and that the config may read, in their place,
            so that digests cover it and a snapshot holds it; raises ``ConfigError`` with keys relative to
            ``options``.
    """

    name: str
    options: type[OptionsT]
    build: Callable[[OptionsT, BuildContext], ProductT_co]
    summary: str = ""
    target: str = ""
    embed: Callable[[OptionsT, Access], OptionsT] | None = None

    @property
    def origin(self) -> str:
        """``module:name`` of what builds the part."""
        # What is callable, but no function, has neither name: a partial, an object.
        named = self.build if hasattr(self.build, "__qualname__") else type(self.build)
        return f"{named.__module__}:{named.__qualname__}"

    def prepare(self, validate: Validate, access: Access) -> Prepared[ProductT_co]:
        """Have the options validated and the files that they name read; raises ``ConfigError``."""
        valid = validate(self.options)
        whole = valid if self.embed is None else self.embed(valid, access)
        return Prepared(self.name, whole.model_dump(mode="json"), lambda context: self.build(valid, context))
