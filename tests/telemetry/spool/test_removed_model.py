"""An outbox whose files another program removes and cuts while it is used: no number is lost silently."""

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.telemetry.spool.town import Town
from townlet_core.ports.transport import TransportError


class RemovedMachine(RuleBasedStateMachine):
    """A town that goes on, and a program that cleans up behind its back."""

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="outbox-"))
        self.town = Town(self.root / "outbox")
        self.moved = 0
        self.town.start()

    def segments(self):
        return sorted(self.town.folder.glob("*.rows"))

    @rule(count=st.integers(1, 60), size=st.sampled_from([50, 600]))
    def emit(self, count, size):
        self.town.emit(count, size)

    @rule(declare=st.booleans())
    def commit(self, declare):
        if declare:
            self.town.declare()
        self.town.commit()

    @rule(most=st.integers(1, 60), part=st.integers(1, 60))
    def deliver(self, most, part):
        with suppress(TransportError):
            self.town.deliver(most, part)

    @rule(most=st.integers(1, 60))
    def begin_to_deliver(self, most):
        with suppress(TransportError):
            self.town.outbox.read(most, 1 << 20)

    @rule()
    def remove(self):
        shutil.rmtree(self.town.folder, ignore_errors=True)

    @rule()
    @precondition(lambda self: self.town.folder.exists())
    def replace(self):
        self.moved += 1
        self.town.folder.rename(self.root / f"moved-{self.moved}")
        self.town.folder.mkdir(mode=0o700)

    @rule(which=st.integers(0, 100))
    @precondition(lambda self: self.segments())
    def remove_a_segment(self, which):
        self.segments()[which % len(self.segments())].unlink()

    @rule(which=st.integers(0, 100), part=st.floats(0, 1))
    @precondition(lambda self: self.segments())
    def cut_a_segment(self, which, part):
        path = self.segments()[which % len(self.segments())]
        os.truncate(path, int(path.stat().st_size * part))

    @rule()
    def stop(self):
        while self.town.commit():
            pass
        self.town.outbox.close()
        self.town.start()

    @rule()
    def kill(self):
        # What was removed since the last commit, nobody knows after a kill.
        while self.town.commit():
            pass
        self.town.die()
        self.town.start()

    def teardown(self):
        town = self.town
        try:
            while town.commit():
                pass
            town.drain()
            assert town.outbox.stats().events == 0
            for source, count in town.emitted.items():
                arrived = {number for sender, number in town.received if sender == source}
                lost = {n for first, last in town.declared.get(source, ()) for n in range(first, last + 1)}
                assert arrived | lost == set(range(count)), source
        finally:
            town.outbox.close()
            shutil.rmtree(self.root)


TestRemoved = RemovedMachine.TestCase
TestRemoved.settings = settings(
    max_examples=60,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
