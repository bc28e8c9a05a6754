"""The model of a run config: every key, its type and its default."""

from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, field_validator, model_validator

from townlet_adapters.validation import Section, Text, Variable
from townlet_core.dto.stream import StreamSettings
from townlet_core.isolation import DEFAULT_BUDGET
from townlet_core.observers.recent import RecentSettings
from townlet_core.pacing import Speed
from townlet_core.seeding import SEED_LIMIT
from townlet_core.timeline import TimedCommand
from townlet_plugins.allowlist import ENTRY_POINT, Allowlist, Permit
from townlet_plugins.listing import OWN_DISTRIBUTION

DEFAULT_WORLD: Final = "town"
DEFAULT_POLICY: Final = "scripted"
DEFAULT_SINK: Final = "file"
MOST_COMMANDS: Final = 10_000
"""Most commands of a timeline."""


class Part(Section):
    """A provider and its options."""

    use: Text
    """name of a provider, as listed by `townlet plugins list`"""

    # It may contain secrets, so no representation shows it.
    options: Annotated[dict[str, JsonValue], Field(default_factory=dict, repr=False)]
    """the provider's options; each provider has its own"""


class ValidateSection(Section):
    """Withholds messages that do not fit the schema of their kind."""

    use: Literal["validate"]
    """withholds a message that does not fit the schema of its kind, and counts it as rejected"""


class RedactSection(Section):
    """Removes named fields."""

    use: Literal["redact"]
    """removes named fields from the messages of this sink"""

    fields: Annotated[tuple[str, ...], Field(min_length=1)]
    """names of the fields as in the JSON, at any depth"""

    kinds: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """kinds of events to remove them from, `state.frame` for frames, `observation.batch` \
for observations; null for all"""


class RenameResidentsSection(Section):
    """Replaces ids and names of residents by pseudonyms that only the holder of a key can compute."""

    use: Literal["rename_residents"]
    """replaces ids and names of residents by pseudonyms computed with a secret key"""

    key_env: Variable | None = None
    """name of the variable that holds the key, at least 16 bytes; instead of `key_file`"""

    key_file: Text | None = None
    """file that holds the key, at least 16 bytes; a file that you own and no other user can read"""

    @model_validator(mode="after")
    def _has_one_key(self) -> Self:
        if (self.key_env is None) == (self.key_file is None):
            raise ValueError("give one of key_env (a variable's name) and key_file (a path)")
        return self


TransformSection = Annotated[
    ValidateSection | RedactSection | RenameResidentsSection, Field(discriminator="use")
]


class SinkPart(Part):
    """One destination of messages."""

    transforms: tuple[TransformSection, ...] = ()
    """transforms of the messages of this sink alone, in this order"""

    stream: StreamSettings | None = None
    """how state is sent to this sink; null for the settings of `telemetry.stream`"""


class TelemetrySection(Section):
    """Where messages are sent."""

    stream: StreamSettings = StreamSettings()
    """how state is sent in addition to the facts"""

    sinks: tuple[SinkPart, ...] = (SinkPart(use=DEFAULT_SINK, options={}),)
    """where messages are sent; when left out, to `events.ndjson` in the run folder; with `[]`, to no sink"""


class PluginsSection(Section):
    """Which third-party plugins are allowed."""

    allow: tuple[Permit, ...] = ()
    """plugins that may be loaded; nothing else that is installed is imported"""

    require_pins: bool = False
    """whether every entry of `allow` must have its `content_sha256`"""

    hooks: tuple[Annotated[str, Field(pattern=ENTRY_POINT)], ...] = ()
    """affordance hooks to activate, by entry point, in the order in which they are called"""

    hook_budget_ms: Annotated[int, Field(ge=1)] = round(DEFAULT_BUDGET * 1000)
    """milliseconds that one call of a hook may take"""

    @field_validator("allow")
    @classmethod
    def _names_each_once(cls, allow: tuple[Permit, ...]) -> tuple[Permit, ...]:
        keys = [each.key for each in allow]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"{' '.join(key)} is listed twice; keep one of the entries")
            if key[0] == OWN_DISTRIBUTION:
                raise ValueError(f"{OWN_DISTRIBUTION} itself needs no entry; remove it")
        return allow

    @field_validator("hooks")
    @classmethod
    def _activates_each_once(cls, hooks: tuple[str, ...]) -> tuple[str, ...]:
        for name in hooks:
            if hooks.count(name) > 1:
                raise ValueError(f"'{name}' is listed twice; a hook is called once")
        return hooks

    def allowlist(self) -> Allowlist:
        """Convert to what the plugin loader takes."""
        return Allowlist(self.allow, self.require_pins)


class RunnerSection(Section):
    """How the run is executed; nothing here changes what happens in the town."""

    speed: Speed = "max"
    """pace: `max` as fast as possible, `1x` four ticks a second, `10x` and `100x` that many times faster"""

    snapshot_every: Literal["day"] | Annotated[int, Field(ge=1)] | None = "day"
    """when a run with a folder keeps snapshots: at the end of every `day`, after so many ticks, or null for \
one at the end of the run only, which is kept in any case"""

    snapshot_retain: Annotated[int, Field(ge=1)] = 8
    """how many snapshots are kept, the newest ones"""

    on_failure_snapshot: bool = True
    """whether a run that fails saves its state as `failure-<tick>.json.gz`, as far as possible"""


class ObserversSection(Section):
    """Observers, which watch the town and add facts."""

    kpis: Annotated[dict[str, JsonValue], Field(default_factory=dict)]
    """options of the observer that keeps the world's key figures"""

    stability: Annotated[dict[str, JsonValue], Field(default_factory=dict)]
    """which numbers are measured, and from which value on they cause an alert"""

    promotion: Annotated[dict[str, JsonValue], Field(default_factory=dict)]
    """when what runs in the town may be promoted"""

    narration: Annotated[dict[str, JsonValue], Field(default_factory=dict)]
    """what is narrated in sentences, and how often"""

    histories: RecentSettings = RecentSettings()
    """how many of the latest facts are kept in memory"""

    extra: tuple[Part, ...] = ()
    """observers of plugins, in the order of their facts"""


class TimedCommandSection(Section):
    """A command that the run gives itself."""

    tick: Annotated[int, Field(ge=0)]
    """index of the tick that executes it"""

    name: Text
    """name of the command"""

    args: Annotated[dict[str, JsonValue], Field(default_factory=dict)]
    """its arguments"""

    def timed(self) -> TimedCommand:
        """Return the command of a timeline."""
        return TimedCommand(self.tick, self.name, self.args)


def part_of_name(source: JsonValue) -> JsonValue:
    """Complete a name to a part; any other value stays unchanged."""
    return {"use": source} if isinstance(source, str) else source


NamedPart = Annotated[Part, BeforeValidator(part_of_name, json_schema_input_type=Text | Part)]
"""A part, which may be written as its name alone."""


class RunConfig(Section):
    """A run: a world, the policy of its residents, and where its messages are sent."""

    townlet: Literal[1]
    """version of this format"""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "run"
    """name of the run; part of the run folder's name"""

    seed: Annotated[int, Field(ge=0, le=SEED_LIMIT - 1)]
    """seed of all randomness of the run"""

    world: Part = Part(use=DEFAULT_WORLD, options={})
    """the world"""

    policy: Part = Part(use=DEFAULT_POLICY, options={})
    """the policy, which chooses the actions of the residents"""

    stages: tuple[NamedPart, ...] = ()
    """stages between the policy and the world, in order: a name, or a name and its options"""

    commands: Annotated[tuple[TimedCommandSection, ...], Field(max_length=MOST_COMMANDS)] = ()
    """the timeline: commands that the run gives itself, or the name of a file with one a line"""

    telemetry: TelemetrySection = TelemetrySection()
    """where messages are sent"""

    plugins: PluginsSection = PluginsSection()
    """which third-party plugins are allowed, and which of their hooks are called"""

    observers: ObserversSection = ObserversSection(kpis={}, stability={}, promotion={}, narration={})
    """observers, which watch the town and add facts"""

    runner: RunnerSection = RunnerSection()
    """how the run is executed; nothing here changes what happens in the town"""
