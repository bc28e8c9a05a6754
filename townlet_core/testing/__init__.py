"""Fakes and contract checks, for Townlet's tests and for every author of a plugin."""

from townlet_core.testing.contracts.commands import check_commands, command_contexts
from townlet_core.testing.contracts.hooks import check_hooks, hook_contexts, hook_of
from townlet_core.testing.contracts.observer import check_observer
from townlet_core.testing.contracts.policy import check_policy
from townlet_core.testing.contracts.sink import check_sink
from townlet_core.testing.contracts.stage import check_stage
from townlet_core.testing.contracts.world import check_world
from townlet_core.testing.events import FAKE_EVENTS
from townlet_core.testing.fakes import (
    CollectingSink,
    FailingSink,
    FakeCommandedStage,
    FakeObserver,
    FakePlannedWorld,
    FakePolicy,
    FakeStage,
    FakeWorld,
    ManualClock,
)

__all__ = [
    "FAKE_EVENTS",
    "CollectingSink",
    "FailingSink",
    "FakeCommandedStage",
    "FakeObserver",
    "FakePlannedWorld",
    "FakePolicy",
    "FakeStage",
    "FakeWorld",
    "ManualClock",
    "check_commands",
    "check_hooks",
    "check_observer",
    "check_policy",
    "check_sink",
    "check_stage",
    "check_world",
    "command_contexts",
    "hook_contexts",
    "hook_of",
]
