"""The commands about two residents: translated to interventions (domain.md, sections 12 and 19)."""

from collections.abc import Mapping
from typing import Final, cast

from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.seam.arguments import Intervention
from townlet_adapters.worlds.town.seam.wrong import WrongError
from townlet_adapters.worlds.town.systems.chat import LEAST_QUALITY, MOST_QUALITY
from townlet_core.jsonvalue import JsonValue

Args = Mapping[str, JsonValue]

_NUMBERS: Final = {
    "trust": (codes.TRUST_GIVEN, -1.0),
    "familiarity": (codes.FAMILIARITY_GIVEN, -1.0),
    "rivalry": (codes.RIVALRY_GIVEN, 0.0),
}


def chat_of(args: Args, speaker: int, listener: int) -> Intervention:
    """Return the chat of two slots that goes well."""
    quality = cast("float", args.get("quality", MOST_QUALITY))
    _within("force_chat: quality", quality, LEAST_QUALITY)
    return Intervention(0, codes.FORCE_CHAT, speaker, listener, x=quality)


def tie_of(args: Args, owner: int, other: int) -> Intervention:
    """Return the change of the tie of a slot to another one."""
    given = 0
    for name, (bit, least) in _NUMBERS.items():
        if name in args:
            _within(f"set_rel: {name}", cast("float", args[name]), least)
            given += bit
    if given == 0:
        raise WrongError("invalid_args", f"set_rel needs one or more of {', '.join(_NUMBERS)}")
    x, y, z = (cast("float", args.get(name, 0.0)) for name in _NUMBERS)
    both = int(bool(args.get("both", True)))
    return Intervention(0, codes.SET_TIE, owner, other, c=given, d=both, x=x, y=y, z=z)


def _within(name: str, value: float, least: float) -> None:
    if not least <= value <= 1.0:
        raise WrongError("invalid_args", f"{name} {value} is out of range ({least} to 1.0)")
