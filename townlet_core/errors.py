"""Every error that Townlet raises on purpose, as one tree.

TownletError
├── ConfigError             a config, map or manifest is wrong; names file, line and key      (exit 2)
│   └── UnknownNameError    a name that no installed package offers; lists the known ones     (exit 2)
├── PluginError             an installed plugin is not allowed, not verified or broken        (exit 3)
├── SnapshotError           a snapshot is missing, damaged, too new or of another town        (exit 2)
├── OutputError             a run folder or file cannot be written, or read back             (exit 2)
│   ├── OutputLostError     the output of a run that has executed ticks cannot be written     (exit 1)
│   └── NoRunFolderError    a part writes into the run folder, and this run has none          (exit 2)
├── EnvironmentRefusedError a file or variable would make a dependency load other code     (exit 2)
├── MissingExtraError       an optional dependency is not installed; names the command        (exit 2)
├── ArgumentError           a call from Python has an argument of a wrong type, shape or range (exit 1)
├── ContractError           an adapter broke the contract of its port                         (exit 1)
├── WorldError              a world could not finish a step; carries tick, phase, agent       (exit 1)
├── PolicyError             a policy could not decide; carries tick and agent                 (exit 1)
├── LoopFailedError         the loop failed earlier and refuses further steps                 (exit 1)
└── EmptyTownError          a run ended without any resident in town                          (exit 1)

The exit codes are those of the command line; ``EXIT_CODES`` in ``townlet_adapters.cli.errors`` maps them.
"""

from dataclasses import dataclass

from townlet_core.summary import RunSummary


class TownletError(Exception):
    """The base of every error that Townlet raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake in a text that a person wrote.

    Attributes:
        key: dotted path of the wrong key, empty when the whole text is wrong.
        found: the text that was found, in words.
        allowed: the values that are allowed, or the action to take.
        file: the file that holds the text, or a name such as ``--set``.
        line: line number from 1, or None when unknown.
    """

    key: str
    found: str
    allowed: str
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        """Format the problem as ``FILE:LINE: key.path: what was found; what is allowed``."""
        place = f"{self.file}:{self.line}" if self.line is not None else self.file
        parts = [part for part in (place, self.key) if part]
        return ": ".join([*parts, "; ".join(part for part in (self.found, self.allowed) if part)])


class ConfigError(TownletError):
    """A config, map or manifest is invalid.

    Attributes:
        problems: every problem found, in the order of the text.
    """

    def __init__(self, *problems: Problem) -> None:
        """Keep the problems; the message has one line for each."""
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class UnknownNameError(ConfigError):
    """A config names a provider that no installed package offers."""


class PluginError(TownletError):
    """An installed plugin that the config names is not allowed, does not verify or is broken."""


class SnapshotError(TownletError):
    """A snapshot is missing, damaged, of a newer schema or of another town.

    Attributes:
        code: one of ``snapshot_missing``, ``snapshot_schema``, ``snapshot_config``,
            ``snapshot_identity``, ``snapshot_corrupt``.
    """

    def __init__(self, code: str, message: str) -> None:
        """Keep the machine-readable code beside the message."""
        self.code = code
        super().__init__(message)


class OutputError(TownletError):
    """A run folder, snapshot or summary cannot be written, or what is in it cannot be read back."""


class OutputLostError(OutputError):
    """The output of a run that has executed ticks cannot be written."""


class NoRunFolderError(OutputError):
    """A part writes into the run folder, and this run has none."""


class EnvironmentRefusedError(TownletError):
    """A file in the working directory or an environment variable would make a dependency load other code."""


class MissingExtraError(TownletError):
    """An optional dependency is not installed; the message names the command that installs it."""

    def __init__(self, feature: str, extra: str) -> None:
        """Take the feature that was requested and the extra that provides it."""
        self.extra = extra
        super().__init__(f"{feature} needs the extra '{extra}': pip install 'townlet[{extra}]'")


class ArgumentError(TownletError, ValueError):
    """A call from Python has an argument of a wrong type, shape or range.

    The message names the argument, what was found and what is expected. It is a ``ValueError`` too, as
    Python code expects of a function that refuses an argument.
    """


class ContractError(TownletError):
    """An adapter broke the contract of its port."""


class WorldError(TownletError):
    """A world could not finish a step.

    Attributes:
        tick: the tick that was being executed.
        phase: number of the phase (domain.md, section 1), or None when unknown.
        agent_id: the resident that was being processed, or None.
    """

    def __init__(
        self, message: str, *, tick: int, phase: int | None = None, agent_id: str | None = None
    ) -> None:
        """Keep the place of the failure beside the message."""
        self.tick, self.phase, self.agent_id = tick, phase, agent_id
        super().__init__(message)


class PolicyError(TownletError):
    """A policy could not decide.

    Attributes:
        tick: the tick that was to be decided.
        agent_id: the resident that the policy was deciding for, or None.
    """

    def __init__(self, message: str, *, tick: int, agent_id: str | None = None) -> None:
        """Keep the place of the failure beside the message."""
        self.tick, self.agent_id = tick, agent_id
        super().__init__(message)


class LoopFailedError(TownletError):
    """The loop failed earlier and refuses further steps."""


class EmptyTownError(TownletError):
    """A run ended without any resident in town.

    Attributes:
        summary: the summary of the run.
    """

    def __init__(self, message: str, summary: RunSummary) -> None:
        """Keep the summary, because the run cannot return it."""
        self.summary = summary
        super().__init__(message)
