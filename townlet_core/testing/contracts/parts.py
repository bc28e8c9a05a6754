"""What the contracts of stages and observers share: commands that they answer, and equal runs."""

from dataclasses import replace

from townlet_core.command_handlers import CommandHandlers
from townlet_core.dto.command import Command
from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.spec import WorldSpec
from townlet_core.errors import ContractError
from townlet_core.jsonvalue import JsonValue
from townlet_core.ports.stage import SupportsCommands
from townlet_core.ports.state import SupportsState
from townlet_core.records import record_to_json
from townlet_core.testing.contracts.arrays import require


def ask(
    part: object, what: str, request: Command, observation: ObservationBatch, spec: WorldSpec
) -> JsonValue:
    """Call a part to answer a request and to do what it granted; returns the answer.

    Args:
        part: a stage or an observer.
        what: which of the two it is, for messages.
        request: the request.
        observation: what every agent sees at the start of the tick.
        spec: the world's spec.

    Raises:
        ContractError: when it answers no such command, or not as the contract says.
    """
    where = f"{request.name} at tick {observation.tick}"
    if not isinstance(part, SupportsCommands):
        raise ContractError(f"{where}: the {what} answers no commands; implement SupportsCommands")
    handlers = CommandHandlers(stages=(part,))
    require(request.name in handlers.specs, f"{where}: the {what} has no such command")
    before = _state(part)
    asked = replace(request, args=handlers.specs[request.name].read(request.args))
    first = part.answer(asked, observation)
    require(_state(part) == before, f"{where}: answer() changed the {what}; obey() does what was granted")
    answer = handlers.ask_stage(request, observation, {each.name: each for each in spec.commands})
    for rejected in handlers.take_rejections():
        raise ContractError(f"{where}: {rejected.problem}")
    require(answer == first, f"{where}: the answer was {first}, and then {answer}")
    return record_to_json(answer)


def compare(one: str, expected: list[bytes], found: list[bytes], other: str) -> None:
    """Find the first tick that differs between two runs.

    Raises:
        ContractError: when there is one.
    """
    for tick, (left, right) in enumerate(zip(expected, found, strict=True)):
        if left != right:
            raise ContractError(f"tick {tick} differs between {one} and {other}")


def _state(part: object) -> JsonValue:
    return part.export_state() if isinstance(part, SupportsState) else None
