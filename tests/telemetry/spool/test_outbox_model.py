"""The outbox against a list: whatever happens, every number is delivered or declared lost."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.telemetry.spool.town import Town
from townlet_adapters.telemetry.spool.base import OutboxLimits

# Nothing here loses power, and a disk makes every close of a database slow.
MEMORY = Path("/dev/shm")  # noqa: S108 - a fresh folder in it, by mkdtemp
SMALL = OutboxLimits(bytes=1 << 19, segment_bytes=1 << 15)


class OutboxMachine(RuleBasedStateMachine):
    """Runs that emit, shed, commit, deliver and die, one after the other, on one folder."""

    def __init__(self):
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="outbox-", dir=MEMORY if MEMORY.is_dir() else None))
        self.town = Town(self.root / "outbox", SMALL)
        self.hurt = set()

    @initialize()
    def first_start(self):
        self.town.start()

    @property
    def up(self):
        return self.town.outbox is not None

    @rule(count=st.integers(1, 40), size=st.sampled_from([50, 600, 3000]))
    @precondition(lambda self: self.up and len(self.town.buffer) < 40)
    def emit(self, count, size):
        self.town.emit(count, size)

    @rule(index=st.integers(0, 100))
    @precondition(lambda self: self.up)
    def shed(self, index):
        self.town.shed(index)

    @rule()
    @precondition(lambda self: self.up)
    def declare(self):
        self.town.declare()

    @rule()
    @precondition(lambda self: self.up)
    def commit(self):
        before = self.town.outbox.stats().events
        waits = len(self.town.buffer)
        code = self.town.commit()
        assert code in {"", "outbox_full, retry"}
        counted, expected = self.town.outbox.stats().events, before + (0 if code else waits)
        # What is known to be missing counts as waiting until a commit declares it.
        assert counted <= expected if self.hurt else counted == expected

    @rule(most=st.integers(1, 60), part=st.integers(1, 60))
    @precondition(lambda self: self.up)
    def deliver(self, most, part):
        self.town.deliver(most, part)

    @rule()
    @precondition(lambda self: self.up)
    def crash(self):
        self.town.die()

    @rule()
    @precondition(lambda self: self.up)
    def end_in_good_order(self):
        self.town.outbox.close()
        self.town.outbox = None

    @rule(deaths=st.integers(0, 2))
    @precondition(lambda self: not self.up)
    def restart(self, deaths):
        for _ in range(deaths):
            self.town.open()
            self.town.die()
        self.town.start()

    @rule(steps=st.integers(0, 40))
    @precondition(lambda self: not self.up)
    def die_starting(self, steps):
        self.town.die_starting(steps)

    @rule(deaths=st.lists(st.integers(0, 40), max_size=3))
    @precondition(lambda self: not self.up)
    def start_often(self, deaths):
        """The first of these may find something to declare; the others have nothing to, and leave nothing."""
        segments = []
        for steps in [None, *deaths, None, None]:
            if steps is not None:
                self.town.die_starting(steps)
                continue
            self.town.start()
            segments.append(self.town.outbox.stats().segments)
            self.end_in_good_order()
        self.town.start()
        # What was damaged is declared anew as long as what tells of it is there.
        assert self.hurt or self.town.outbox.stats().segments <= min(segments[1:])

    @rule(data=st.data())
    @precondition(lambda self: not self.up)
    def corrupt_and_restart(self, data):
        """Damage one file while nobody runs, but never all that knows of a number.

        So of a segment not both label and rows, and not the control page after a segment.
        """
        whole = {path for path in self.town.folder.iterdir() if path.is_file() and path.name != "lock"}
        files = sorted(
            path
            for path in whole
            if path.stem not in self.hurt and not (self.hurt and path.name == "control")
        )
        if not files:
            self.town.start()
            return
        victim = data.draw(st.sampled_from([path.name for path in files]))
        path = self.town.folder / victim
        if victim == "control":
            self.town.forgetful |= set(self.town.emitted)
        else:
            self.hurt.add(path.stem)
        content = bytearray(path.read_bytes())
        match data.draw(st.sampled_from(["garbage", "flip", "cut", "gone"])):
            case "gone":
                path.unlink()
            case "garbage":
                path.write_bytes(data.draw(st.randoms(use_true_random=False)).randbytes(len(content)))
            case "cut":
                path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
            case "flip" if content:
                bit = data.draw(st.integers(0, len(content) * 8 - 1))
                content[bit // 8] ^= 1 << bit % 8
                path.write_bytes(content)
        self.town.start()

    def teardown(self):
        try:
            if not self.up:
                self.town.start()
            self.town.drain()
            self.town.outbox.close()
            self.town.check_all_accounted_for()
        finally:
            if self.up:
                self.town.outbox.close()
            shutil.rmtree(self.root)


TestOutbox = OutboxMachine.TestCase
TestOutbox.settings = settings(
    max_examples=40,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)
