"""A sink as small as can be, over a real outbox, and the list that it is compared with."""

import json
import os
import shutil
import sys
from functools import partial

from tests.forks import in_fork
from townlet_adapters.telemetry.clock import SystemClock
from townlet_adapters.telemetry.ranges import RangeSet
from townlet_adapters.telemetry.spool.base import Loss, OutboxLimits, Row
from townlet_adapters.telemetry.spool.outbox import Outbox
from townlet_core.ports.transport import TransportError

LIMITS = OutboxLimits(bytes=1 << 22, segment_bytes=1 << 15)


def line_of(source, sequence, size=200):
    return (json.dumps({"source": source, "sequence": sequence}).ljust(size, " ") + "\n").encode()


def record_of(losses):
    return (
        json.dumps({"lost": [[each.source, each.reason, each.ranges] for each in losses]}) + "\n"
    ).encode()


def read_all(outbox, most=37):
    """Drain an outbox; gives the numbers by source in the order of delivery."""
    delivered = []
    while (batch := outbox.read(most, 1 << 20)) is not None:
        assert outbox.acknowledge(batch.source, batch.sequences[-1]) == len(batch.lines)
        delivered += [(batch.source, sequence) for sequence in batch.sequences]
    return delivered


def ranges_of(*pairs):
    return RangeSet(pairs)


STEPS = frozenset({"open", "os.remove", "os.rename", "os.truncate"})
COMPLETE, BEFORE_COMMIT, AFTER_COMMIT, WENT_WRONG = range(4)


class Town:
    """Emits, sheds, commits, delivers and dies; knows what it emitted, and what the collector got."""

    def __init__(self, folder, limits=LIMITS):
        self.folder, self.limits = folder, limits
        self.generation = 0
        self.emitted = {}  # how many numbers each source gave
        self.committed = {}  # numbers below this are in the outbox or were decided on
        self.received = []  # (source, sequence) in the order of arrival
        self.declared = {}  # numbers by source that the collector was told are lost
        self.forgetful = set()  # sources of which the control page was destroyed
        self.outbox = None

    # ---- a run ---------------------------------------------------------------------------------

    def open(self):
        self.generation += 1
        self.source = f"urn:town:{self.generation}"
        self.outbox = Outbox(self.folder, self.limits, SystemClock())
        self.found = self.outbox.open(self.source)

    def begin(self):
        self.buffer, self.undeclared = [], []
        rows = self.first_rows()
        self.outbox.begin(rows)
        self.began_with(rows)

    def first_rows(self):
        return [Row(number, record_of([loss])) for number, loss in enumerate(self.found)]

    def began_with(self, rows):
        self.emitted[self.source] = len(rows)
        self.committed[self.source] = len(rows)

    def start(self):
        self.open()
        self.begin()

    def die_starting(self, steps):
        """Start, and be killed after so many steps on the disk; tells whether it had more of them."""
        self.open()
        self.outbox.close()
        self.outbox = None
        rows = self.first_rows()
        code = in_fork(partial(self._begin_until, steps, rows))
        assert code != WENT_WRONG
        if code != BEFORE_COMMIT:
            self.began_with(rows)
        return code != COMPLETE

    def _begin_until(self, steps, rows):
        committed = False

        def count(event, arguments):
            nonlocal steps, committed
            if event not in STEPS or str(self.folder) not in str(arguments[0]):
                return
            # The control page comes into force after what is committed first.
            committed |= event == "os.rename" and str(arguments[0]).endswith("control.new")
            if not steps:
                os._exit(AFTER_COMMIT if committed else BEFORE_COMMIT)
            steps -= 1

        try:
            outbox = Outbox(self.folder, self.limits, SystemClock())
            outbox.open(self.source)
            sys.addaudithook(count)
            outbox.begin(rows)
            os._exit(COMPLETE)
        finally:
            os._exit(WENT_WRONG)

    def emit(self, count=1, size=200):
        for _ in range(count):
            number = self.emitted[self.source]
            self.emitted[self.source] += 1
            self.outbox.note_emitted(number + 1)
            self.buffer.append(Row(number, line_of(self.source, number, size)))

    def shed(self, index):
        if self.buffer:
            gone = self.buffer.pop(index % len(self.buffer))
            told = json.loads(gone.line)
            self.undeclared.append(Loss.of(self.source, "buffer_full", [(gone.sequence, gone.sequence)]))
            self.undeclared += [Loss.of(s, r, ranges) for s, r, ranges in told.get("lost", ())]

    def declare(self):
        """Put a record of all that is not declared yet at the end of the buffer."""
        if self.undeclared:
            number = self.emitted[self.source]
            self.emitted[self.source] += 1
            self.outbox.note_emitted(number + 1)
            self.buffer.append(Row(number, record_of(self.undeclared)))
            self.undeclared = []

    def commit(self):
        """Store everything in the buffer; returns the code of what went wrong."""
        self.undeclared += self.outbox.take_losses()
        try:
            self.outbox.commit(self.buffer, self.undeclared)
        except TransportError as error:
            return f"{error.code}, {error.verdict}"
        self.buffer = []
        self.committed[self.source] = self.emitted[self.source]
        return ""

    def deliver(self, most=10, part=10):
        """Send a batch and acknowledge the front of it."""
        batch = self.outbox.read(most, 1 << 20)
        if batch is None:
            return False
        assert batch == self.outbox.read(most, 1 << 20)
        taken = batch.sequences[:part]
        assert self.outbox.acknowledge(batch.source, taken[-1]) == len(taken)
        for sequence, line in zip(taken, batch.lines, strict=False):
            self.receive(batch.source, sequence, line)
        return True

    def drain(self):
        """Deliver everything, and what that finds lost as well."""
        while True:
            while self.deliver(50, 50):
                pass
            if self.buffer:
                # There is room now for what there was none for before.
                assert self.commit() == ""
                continue
            self.undeclared += self.outbox.take_losses()
            if not self.undeclared and not self.buffer:
                return
            self.declare()
            assert self.commit() == ""

    def die(self):
        """Leave the folder as a kill would: as it stands at this moment."""
        left = self.folder.with_name(f"{self.folder.name}+")
        shutil.copytree(self.folder, left)
        self.outbox.close()
        shutil.rmtree(self.folder)
        left.rename(self.folder)
        self.outbox = None

    def receive(self, source, sequence, line):
        told = json.loads(line)
        if "lost" not in told:
            assert told == {"source": source, "sequence": sequence}
        self.received.append((source, sequence))
        for lost_source, _, ranges in told.get("lost", ()):
            lost = self.declared.setdefault(lost_source, RangeSet())
            for first, last in ranges:
                lost.add(first, last)

    # ---- the list ------------------------------------------------------------------------------

    def check_all_accounted_for(self):
        """Every number emitted was delivered, in order, or declared lost, and none both."""
        for source, count in self.emitted.items():
            numbers = [number for sender, number in self.received if sender == source]
            lost = {n for first, last in self.declared.get(source, ()) for n in range(first, last + 1)}
            if source in self.forgetful:
                # How far the numbers went, or what was acknowledged, may have been known to that page alone.
                assert set(range(self.committed[source])) <= set(numbers) | lost <= set(range(count))
                continue
            assert numbers == sorted(set(numbers)), source
            assert set(numbers) | lost == set(range(count)), source
            assert not set(numbers) & lost, source
