"""What to run, and where it leaves its files."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from townlet_adapters.config.model import RunConfig
from townlet_adapters.config.resolve import SinkRequest
from townlet_adapters.config.source import Override, find_config
from townlet_core.jsonvalue import JsonValue
from townlet_plugins.access import NOTHING_ELSE, Allowed

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Output:
    """Where a run leaves its files.

    Attributes:
        keep: whether it has a run folder.
        path: the folder; None for ``runs/<utc>-<name>-s<seed>``.
        summary: another file for the summary, or None.
    """

    keep: bool
    path: Path | None = None
    summary: Path | None = None


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What to run.

    Attributes:
        config: a config file, or the config itself; None for the packaged default town, or for what the
            resumed snapshot holds.
        seed: the seed instead of the config's.
        policy: name of the policy instead of the config's.
        overrides: values instead of the config's.
        sinks: sinks instead of the config's.
        commands: a file with further commands of the timeline.
        output: where the run leaves its files.
        resume: a snapshot file, or a folder for the newest valid one in it.
        allowed: variables and folders that the config may read in addition.
        digest: whether to keep a digest even without a run folder.
        notify: called with one line for each thing that a person should know before the first tick.
        compiling: called with the share of the kernels that is compiled, when any has to be.
        prefix: what stands before a setting's name in messages, as in ``--policy``.
    """

    config: Path | RunConfig | Mapping[str, JsonValue] | None = None
    seed: int | None = None
    policy: str | None = None
    overrides: tuple[Override, ...] = ()
    sinks: tuple[SinkRequest, ...] | None = None
    commands: Path | None = None
    output: Output = Output(keep=False)
    resume: Path | None = None
    allowed: Allowed = NOTHING_ELSE
    digest: bool = False
    notify: Callable[[str], object] = _LOG.warning
    compiling: Callable[[float], object] = lambda _share: None
    prefix: str = ""

    @classmethod
    def of(  # noqa: PLR0913 - the settings of a run, each by its name
        cls,
        config: Path | str | RunConfig | Mapping[str, JsonValue] | None = None,
        *,
        seed: int | None = None,
        policy: str | None = None,
        overrides: Mapping[str, JsonValue] | None = None,
        out: Path | str | None = None,
        resume: Path | str | None = None,
        allow_env: Sequence[str] = (),
        allow_path: Sequence[Path | str] = (),
        digest: bool = False,
    ) -> Self:
        """Make a request from the settings of Python code, which ``townlet_adapters.running.run`` describes.

        Raises:
            ConfigError: when there is no such config file, or a key of an override is wrong.
        """
        return cls(
            config=find_config(str(config)) if isinstance(config, str | Path) else config,
            seed=seed,
            policy=policy,
            overrides=tuple(Override.of(key, value) for key, value in (overrides or {}).items()),
            output=Output(keep=out is not None, path=Path(out) if out is not None else None),
            resume=Path(resume) if resume is not None else None,
            allowed=Allowed(tuple(allow_env), tuple(map(Path, allow_path))),
            digest=digest,
        )
