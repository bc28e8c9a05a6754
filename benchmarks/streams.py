"""What state and observations cost: bytes of a day of the default town and CPU of a tick, by mode.

Run it with ``python benchmarks/streams.py``. All modes are given the same frames; the times are those of the
town's thread, and what the town's own ticks cost is not among them.
"""  # noqa: INP001 - a script, not a package

import statistics
import sys
import time
from collections.abc import Sequence
from typing import Final

from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.policies.scripted.policy import ScriptedPolicy
from townlet_adapters.telemetry.delivery.limits import DeliveryLimits
from townlet_adapters.telemetry.delivery.sink import DeliveringSink
from townlet_adapters.telemetry.testing import ScriptedTransport
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.inputs.texts import TownOptions
from townlet_adapters.worlds.town.observers.kpis import KpiObserver
from townlet_adapters.worlds.town.seam.world import TownWorld
from townlet_core.dispatch import EventDispatcher, SinkRoute
from townlet_core.dto.frame import StateFrame, TownFrame
from townlet_core.dto.stream import StreamSettings
from townlet_core.loop import RunIdentity, SimulationLoop
from townlet_core.ports.transport import Batch
from townlet_core.seen import observation_message
from townlet_core.testing.fakes import CollectingSink

DAY: Final = 1440
WARM: Final = 60
MODES: Final = {
    "snapshot": StreamSettings("snapshot", every=1),
    "diff": StreamSettings("diff"),
    "channels": StreamSettings("channels"),
}


class Scales(ScriptedTransport):
    """A transport that keeps nothing but the size of what it is given."""

    def __init__(self) -> None:
        """Begin at zero."""
        super().__init__()
        self.size = self.count = 0

    def write(self, batch: Batch) -> int:
        """Weigh."""
        self.size += sum(map(len, batch.lines))
        self.count += len(batch.lines)
        return len(batch.lines)


class Watched(TownWorld):
    """The town, and the nanoseconds that each of its pictures took."""

    def __init__(self, model: TownModel) -> None:
        """Begin with no picture."""
        super().__init__(model)
        self.costs: list[int] = []

    def frame(self) -> TownFrame:
        """Picture the town."""
        before = time.thread_time_ns()
        frame = super().frame()
        self.costs.append(time.thread_time_ns() - before)
        return frame


def frames_of_a_day() -> tuple[list[StateFrame], list[int]]:
    """Run the default town for a day; every frame, and the nanoseconds that the town took to picture it."""
    world = Watched(TownModel.build(TownOptions()))
    sink = CollectingSink()
    loop = SimulationLoop(
        world,
        ScriptedPolicy(ScriptedOptions()),
        RunIdentity(seed=7, run_id="bench", config_digest="", snapshot={}),
        dispatcher=EventDispatcher([SinkRoute("bench", sink, 1)]),
        observers=[KpiObserver()],
    )
    loop.run_for(DAY)
    return [message for message in sink.messages if isinstance(message, StateFrame)], world.costs


def weigh(stream: StreamSettings, frames: Sequence[StateFrame]) -> tuple[Scales, list[int]]:
    """Send the frames in a mode; what arrived, and the nanoseconds that each took."""
    scales = Scales()
    sink = DeliveringSink(
        stream.mode, scales, source="urn:townlet:run:20260101T000000-bench:p1",
        limits=DeliveryLimits(), stream=stream,
    )  # fmt: skip
    sink.start()
    costs: list[int] = []
    for frame in frames:
        before = time.thread_time_ns()
        if frame.tick % stream.state_every == 0:
            sink.emit(frame)
        costs.append(time.thread_time_ns() - before)
    status = sink.stop(60)
    if status.delivered != status.offered:
        raise SystemExit(f"{stream.mode}: {status}")
    return scales, costs


def weigh_observations() -> tuple[Scales, list[int], list[int]]:
    """Run the default town for a day; what arrived, and the nanoseconds to make and to send each message."""
    world = TownWorld(TownModel.build(TownOptions()))
    loop = SimulationLoop(world, ScriptedPolicy(ScriptedOptions()), RunIdentity(seed=7))
    scales = Scales()
    sink = DeliveringSink(
        "observations", scales, source="urn:townlet:run:20260101T000000-bench:p1", limits=DeliveryLimits()
    )
    sink.start()
    made: list[int] = []
    sent: list[int] = []
    for tick, outcome in enumerate(loop.iterate(DAY)):
        before = time.thread_time_ns()
        message = observation_message(tick, world.spec, outcome)
        between = time.thread_time_ns()
        sink.emit(message)
        made.append(between - before)
        sent.append(time.thread_time_ns() - between)
    sink.stop(60)
    return scales, made, sent


def spell(costs: Sequence[int]) -> str:
    """Tell the middle and the slowest of a hundred, in microseconds."""
    told = sorted(costs[WARM:])
    return f"p50 {statistics.median(told) / 1000:6.1f} us   p99 {told[int(len(told) * 0.99)] / 1000:6.1f} us"


def main() -> None:
    """Print one line for the frame and one for each mode, then two for observations."""
    frames, costs = frames_of_a_day()
    sys.stdout.write(f"{'frame':10}{'':44}{spell(costs)}\n")
    whole = 0
    for name, stream in MODES.items():
        scales, costs = weigh(stream, frames)
        whole = whole or scales.size
        share = 100 * scales.size / whole
        sys.stdout.write(
            f"{name:10}{scales.count:6} lines {scales.size:10} bytes {share:6.1f} %      {spell(costs)}\n"
        )
    seen, made, sent = weigh_observations()
    sys.stdout.write(f"{'seen':10}{'':44}{spell(made)}\n")
    sys.stdout.write(f"{'sent':10}{seen.count:6} lines {seen.size:10} bytes {'':14}{spell(sent)}\n")


if __name__ == "__main__":
    main()
