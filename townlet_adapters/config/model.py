"""What a run config may say: every key, its type and its default."""

from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from townlet_core.dto.stream import ChannelCadences, StreamMode, StreamSettings
from townlet_plugins.allowlist import DIGEST, DISTRIBUTION, ENTRY_POINT, Allowlist, Permit
from townlet_plugins.listing import OWN_DISTRIBUTION

DEFAULT_WORLD: Final = "town"
DEFAULT_POLICY: Final = "scripted"
DEFAULT_SINK: Final = "file"
MAX_SEED = 2**64 - 1

Speed = Literal["max", "1x", "10x", "100x"]


class Section(BaseModel):
    """A part of a config: immutable, no unknown keys, nothing of its content in errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )


class Part(Section):
    """What is used, and how it is set."""

    use: Annotated[str, Field(min_length=1)]
    """name of a provider, as `townlet plugins list` shows it"""

    # Secrets may arrive here, so no representation shows it.
    options: Annotated[dict[str, JsonValue], Field(default_factory=dict, repr=False)]
    """the provider's options; each provider has its own"""


class ChannelsSection(Section):
    """How often each part of the frame is sent."""

    agents: Annotated[int, Field(ge=1)] = 4
    """clock, residents and their rewards"""

    objects: Annotated[int, Field(ge=1)] = 4
    """objects, utilities, perturbations, and what another kind of world wants shown"""

    economy: Annotated[int, Field(ge=1)] = 60
    """prices and key figures"""

    employment: Annotated[int, Field(ge=1)] = 60
    """jobs, their holders and their capacity"""

    social: Annotated[int, Field(ge=1)] = 60
    """ties, stability and promotion"""


class StreamSection(Section):
    """How state travels beside the facts."""

    mode: StreamMode = "off"
    """`off` sends no state; `snapshot` whole frames; `diff` patches of the frame, every tick; `channels` \
patches of its parts, each as often as `channels` says"""

    every: Annotated[int, Field(ge=1)] = 60
    """mode `snapshot`: a frame is sent on ticks that this number divides"""

    keyframe_every: Annotated[int, Field(ge=1)] = 500
    """modes `diff` and `channels`: what is sent is whole, no patch, at multiples of this number of ticks"""

    channels: ChannelsSection = ChannelsSection()
    """mode `channels`: ticks from one message of a channel to its next"""

    observations: bool = False
    """whether what the agents see is sent, too, on every tick and in any mode, as `observation.batch`: for \
whoever feeds a policy from outside"""

    def settings(self) -> StreamSettings:
        """Say the same to a sink."""
        each = self.channels
        cadences = ChannelCadences(each.agents, each.objects, each.economy, each.employment, each.social)
        return StreamSettings(self.mode, self.every, self.keyframe_every, cadences, self.observations)


class ValidateSection(Section):
    """Keeps back what does not fit the schema of its kind."""

    use: Literal["validate"]
    """keeps back, and counts as rejected, what does not fit the schema of its kind"""


class RedactSection(Section):
    """Takes named fields out."""

    use: Literal["redact"]
    """takes named fields out of what this sink is given"""

    fields: Annotated[tuple[str, ...], Field(min_length=1)]
    """names of the fields, as the JSON has them, at any depth"""

    kinds: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """kinds of events that they are taken out of, `state.frame` for frames, `observation.batch` \
for observations; null for everything"""


class RenameResidentsSection(Section):
    """Replaces ids and names of residents by pseudonyms that only the holder of a key can make."""

    use: Literal["rename_residents"]
    """replaces ids and names of residents by pseudonyms made with a secret key"""

    key_env: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """name of the variable that holds the key, at least 16 bytes; this or `key_file`"""

    key_file: Annotated[str, Field(min_length=1)] | None = None
    """file that holds the key, at least 16 bytes, nobody else's to read; relative to the config"""

    @model_validator(mode="after")
    def _has_one_key(self) -> Self:
        if (self.key_env is None) == (self.key_file is None):
            raise ValueError("give one of key_env (a variable's name) and key_file (a path)")
        return self


TransformSection = Annotated[
    ValidateSection | RedactSection | RenameResidentsSection, Field(discriminator="use")
]


class SinkPart(Part):
    """One place that messages go."""

    transforms: tuple[TransformSection, ...] = ()
    """what is done to messages on the way to this sink alone, in this order"""

    stream: StreamSection | None = None
    """how state travels to this sink; null for what `telemetry.stream` says"""


class TelemetrySection(Section):
    """Where messages go."""

    stream: StreamSection = StreamSection()
    """how state travels beside the facts"""

    sinks: tuple[SinkPart, ...] = (SinkPart(use="file", options={}),)
    """where messages go; `events.ndjson` in the run folder when left out, nowhere with `[]`"""


class AllowSection(Section):
    """One plugin that may come in."""

    distribution: Annotated[str, Field(pattern=DISTRIBUTION)]
    """name of the package, as it is installed"""

    entry_point: Annotated[str, Field(pattern=ENTRY_POINT)]
    """name of its entry point in the group `townlet.plugins`"""

    version: Annotated[str, Field(min_length=1)] | None = None
    """the one version that may come in; null for any"""

    content_sha256: Annotated[str, Field(pattern=DIGEST)] | None = None
    """the one content that may come in, as `townlet plugins pin` prints it; null for any"""

    allow_native: bool = False
    """whether it may bring compiled modules"""

    allow_editable: bool = False
    """whether it may be an editable install, whose content cannot be verified"""

    def permit(self) -> Permit:
        """Say the same to the door."""
        return Permit(
            self.distribution,
            self.entry_point,
            self.version,
            self.content_sha256,
            allow_native=self.allow_native,
            allow_editable=self.allow_editable,
        )


class PluginsSection(Section):
    """Which third-party plugins may come in."""

    allow: tuple[AllowSection, ...] = ()
    """plugins that may be loaded; nothing else that is installed is imported"""

    require_pins: bool = False
    """whether every entry of `allow` must have its `content_sha256`"""

    hooks: tuple[Annotated[str, Field(pattern=ENTRY_POINT)], ...] = ()
    """affordance hooks to activate, by entry point, in the order in which they are asked"""

    hook_budget_ms: Annotated[int, Field(ge=1)] = 50
    """milliseconds that one call of a hook may take"""

    @field_validator("allow")
    @classmethod
    def _names_each_once(cls, allow: tuple[AllowSection, ...]) -> tuple[AllowSection, ...]:
        keys = [each.permit().key for each in allow]
        for key in keys:
            if keys.count(key) > 1:
                raise ValueError(f"{' '.join(key)} is named twice; leave one entry for it")
            if key[0] == OWN_DISTRIBUTION:
                raise ValueError(f"{OWN_DISTRIBUTION} itself needs no entry; take it out")
        return allow

    @field_validator("hooks")
    @classmethod
    def _activates_each_once(cls, hooks: tuple[str, ...]) -> tuple[str, ...]:
        for name in hooks:
            if hooks.count(name) > 1:
                raise ValueError(f"'{name}' is named twice; a hook is asked once")
        return hooks

    def allowlist(self) -> Allowlist:
        """Say the same to the door."""
        return Allowlist(tuple(each.permit() for each in self.allow), self.require_pins)


class RunnerSection(Section):
    """How the run is driven; none of it changes what happens in town."""

    speed: Speed = "max"
    """ticks per real time: `max` as fast as possible, `1x` four ticks a second, `10x`, `100x`"""

    snapshot_every: Literal["day"] | Annotated[int, Field(ge=1)] | None = "day"
    """when a run with a folder keeps snapshots: at the end of every `day`, after so many ticks, or null for \
one at the end of the run only, which is kept in any case"""

    snapshot_retain: Annotated[int, Field(ge=1)] = 8
    """how many snapshots are kept, the newest ones"""

    on_failure_snapshot: bool = True
    """whether a failing run saves what it can, as `failure-<tick>.json.gz`"""


class HistoriesSection(Section):
    """How much of the latest facts is remembered in the process."""

    queue_ticks: Annotated[int, Field(ge=1, le=1440)] = 120
    """ticks for which facts of queues are kept"""

    rivalry_events: Annotated[int, Field(ge=1, le=100_000)] = 120
    """number of digests of conflicts that are kept"""

    policy_facts: Annotated[int, Field(ge=1, le=100_000)] = 1024
    """number of facts of policies that are kept, the newest of each kind and resident"""


class UseNamesSection(Section):
    """Which affordances count as what."""

    meals: tuple[str, ...] = ("eat_meal", "buy_meal")
    """eating, anywhere"""

    cafe_meals: tuple[str, ...] = ("buy_meal",)
    """those of them that are eaten at the cafe"""

    cooking: tuple[str, ...] = ("cook_meal",)
    """making a meal"""

    showers: tuple[str, ...] = ("use_shower",)
    """washing"""

    sleeps: tuple[str, ...] = ("rest_sleep",)
    """sleeping"""


class NeedLimitsSection(Section):
    """Where a need becomes worth telling."""

    well: Annotated[float, Field(ge=0, le=1)] = 0.3
    """a resident is well while every need is above this"""

    starving: Annotated[float, Field(ge=0, le=1)] = 0.15
    """hunger at or below this counts towards starvation"""

    starving_ticks: Annotated[int, Field(ge=1)] = 30
    """ticks in a row after which it is a starvation incident"""


class KpisSection(Section):
    """The numbers by which a town is judged."""

    names: UseNamesSection = UseNamesSection()
    """which affordances count as what"""

    limits: NeedLimitsSection = NeedLimitsSection()
    """where a need becomes worth telling"""


class ObserversSection(Section):
    """What watches the town and adds to its facts."""

    kpis: KpisSection = KpisSection()
    """the numbers by which a town is judged"""

    histories: HistoriesSection = HistoriesSection()
    """how much of the latest facts is remembered in the process"""

    extra: tuple[Part, ...] = ()
    """observers of plugins, in the order of their facts"""


class RunConfig(Section):
    """A run: a world, who decides in it, and where its messages go."""

    townlet: Literal[1]
    """version of this format"""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")] = "run"
    """name of the run; part of the run folder's name"""

    seed: Annotated[int, Field(ge=0, le=MAX_SEED)]
    """what all randomness of the run comes from"""

    world: Part = Part(use=DEFAULT_WORLD, options={})
    """the world"""

    policy: Part = Part(use=DEFAULT_POLICY, options={})
    """who decides"""

    telemetry: TelemetrySection = TelemetrySection()
    """where messages go"""

    plugins: PluginsSection = PluginsSection()
    """which third-party plugins may come in, and which of their hooks are asked"""

    observers: ObserversSection = ObserversSection()
    """what watches the town and adds to its facts"""

    runner: RunnerSection = RunnerSection()
    """how the run is driven; none of it changes what happens in town"""
