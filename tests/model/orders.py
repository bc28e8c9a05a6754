"""Section 19, commands: what each makes of its arguments, and what it answers."""

from tests.model import chat, commands, employment, lifecycle, ties

MOST_MILLS = 1_000_000
MOST_EXITS, MOST_SPACING = 50, 100_000


def obey(town, command, known, known_commands):
    """Do what a command asks; residents are those ``known`` as the tick began.

    Returns:
        The result, without the words of an error.
    """
    try:
        result = known_commands[command.name](town, command.args, known)
        status, error = "ok", None
    except Refused as refused:
        status, result, error = "error", {}, {"code": refused.code, "details": refused.details}
    return {
        "name": command.name,
        "status": status,
        "result": result,
        "error": error,
        "cmd_id": command.cmd_id,
        "issuer": command.issuer,
        "tick": town.tick,
    }


class Refused(Exception):  # noqa: N818 - an answer
    """A command that cannot be done."""

    def __init__(self, code, details=None):
        super().__init__(code)
        self.code, self.details = code, details or {}


def require(holds, code="invalid_args", details=None):
    """Refuse unless something holds."""
    if not holds:
        raise Refused(code, details)


CODES = {
    "gone": "not_found",
    "blocked_tile": "blocked_tile",
    "no_slot": "conflict",
    "no_vacancy": "conflict",
    "no_review": "conflict",
    "no_event": "not_found",
    "no_room": "conflict",
}
"""What became of an intervention -> the error of the command."""


def require_done(answer, args):
    """Refuse what the town did not do; ``blocked_tile`` has the arguments as its details."""
    code = CODES.get(answer)
    require(code is None, code, dict(args) if code == "blocked_tile" else None)


def resident_of(args, known):
    """The resident that a command means: one that lived as the tick began."""
    require(args["agent_id"] in known, "not_found")
    return known[args["agent_id"]]


def require_life(town, resident):
    """It may have left, or be about to."""
    require(resident in town.residents and not resident.leaving, "not_found")


def _teleport(town, args, known):
    resident, (x, y) = resident_of(args, known), args["position"]
    require_life(town, resident)
    require_done(commands.teleport(town, resident.slot, x, y), args)
    return dict(args)


def require_levels(town, needs):
    """Needs that there are, each in [0, 1]."""
    known = town.plan.vocabulary.needs
    require(all(need in known and 0 <= level <= 1 for need, level in needs.items()))


def _set_need(town, args, known):
    resident, needs = resident_of(args, known), args["needs"]
    require_levels(town, needs)
    require_life(town, resident)
    for need, level in needs.items():
        commands.set_need(town, resident.slot, need, level)
    return dict(args)


def _interrupt(town, args, known):
    resident = resident_of(args, known)
    require_life(town, resident)
    commands.interrupt(town, resident.slot, args.get("idle", False))
    return dict(args)


def _kill(town, args, known):
    resident = resident_of(args, known)
    require_life(town, resident)
    lifecycle.remove(town, resident.slot, args.get("replace", True))
    return dict(args)


def _review(town, args, known):
    resident = resident_of(args, known)
    require(args["decision"] in {"approve", "defer"})
    require_life(town, resident)
    approves = args["decision"] == "approve"
    require_done(employment.decide_review(town, resident, approves=approves), args)
    return dict(args)


def _spawn(town, args, _known):
    serial, wanted = town.born, wanted_of(town, args)
    require_done(lifecycle.come(town, wanted), args)
    return {"agent_id": f"a{serial:05d}", **args}


def wanted_of(town, args):
    """What the arguments of ``spawn`` say; the first that is wrong refuses it."""
    plan = town.plan
    if "position" in args:
        x, y = args["position"]
        require(0 <= x < plan.width and 0 <= y < plan.height, "blocked_tile")
    home = job = None
    if "home" in args:
        tiles = [(each.x, each.y) for each in plan.home_tiles]
        require(tuple(args["home"]) in tiles, "not_found")
        home = tiles.index(tuple(args["home"]))
    if "job_id" in args:
        job = next((each for each in plan.jobs if each.id == args["job_id"]), None)
        require(job is not None)
        require(home is None or plan.home_tiles[home].district == job.district)
    require(0 <= args.get("wallet", 0) <= MOST_MILLS)
    require_levels(town, args.get("needs", {}))
    require(args.get("profile", "") in {"", *plan.vocabulary.profiles})
    position = tuple(args["position"]) if "position" in args else None
    return lifecycle.Wanted(position, home, args.get("needs"), args.get("wallet"), args.get("profile"), job)


def pair_of(args, names, known):
    """Two residents that a command means."""
    for name in names:
        require(args[name] in known, "not_found")
    one, other = (known[args[name]] for name in names)
    require(one is not other)
    return one, other


def _force_chat(town, args, known):
    pair = pair_of(args, ("speaker", "listener"), known)
    quality = args.get("quality", 1.0)
    require(0.1 <= quality <= 1.0)
    for each in pair:
        require_life(town, each)
    require(pair[1] in ties.beside(town, pair[0], chat.BESIDE), "conflict")
    for each in pair:
        require(each.claim is None or each.claim.stage != "running", "busy_target")
    for each in pair:
        require(each.ready != town.tick + ties.habits(town, each)[0], "conflict")
    chat.conclude(town, *pair, success=True, quality=quality)
    return dict(args)


def _set_rel(town, args, known):
    owner, other = pair_of(args, ("owner", "other"), known)
    numbers = {name: args[name] for name in ("trust", "familiarity", "rivalry") if name in args}
    require(all((0 if name == "rivalry" else -1) <= value <= 1 for name, value in numbers.items()))
    require(bool(numbers))
    for each in (owner, other):
        require_life(town, each)
    ties.write(town, owner, other, numbers)
    if args.get("both", True):
        ties.write(town, other, owner, numbers)
    return dict(args)


def _toggle_mortality(town, args, _known):
    town.mortal = args["value"]
    return dict(args)


def _set_exit_cap(town, args, _known):
    require(0 <= args["value"] <= MOST_EXITS)
    town.exit_cap = args["value"]
    return dict(args)


def _set_exit_spacing(town, args, _known):
    require(0 <= args["value"] <= MOST_SPACING)
    town.exit_spacing = args["value"]
    return dict(args)


COMMANDS = {
    "teleport": _teleport,
    "set_need": _set_need,
    "interrupt": _interrupt,
    "kill": _kill,
    "review": _review,
    "spawn": _spawn,
    "force_chat": _force_chat,
    "set_rel": _set_rel,
    "toggle_mortality": _toggle_mortality,
    "set_exit_cap": _set_exit_cap,
    "set_exit_spacing": _set_exit_spacing,
}
