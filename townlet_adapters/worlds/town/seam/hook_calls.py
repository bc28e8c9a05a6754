"""Connects kernels and hooks: numbers become a context, and the answer becomes numbers."""

from collections.abc import Mapping

from townlet_adapters.kernels.records import Records
from townlet_adapters.worlds.town import codes
from townlet_adapters.worlds.town.compiled.model import TownModel
from townlet_adapters.worlds.town.compiled.observation_layout import TIE
from townlet_adapters.worlds.town.compiled.rows import agent_id
from townlet_adapters.worlds.town.compiled.state import Journal, TownState
from townlet_adapters.worlds.town.seam.decode import Remark
from townlet_core.dto.hook import HookContext, HookStage
from townlet_core.hook_runner import HookRunner


class HookCalls:
    """Calls the hooks of one town, a batch of one, when its kernels request it.

    Attributes:
        remarks: the hooks' additions to the rows of the tick being executed, by number of the first row after
            the hook was asked.
    """

    def __init__(
        self, model: TownModel, hooks: HookRunner, state: TownState, cursor: Records, journal: Journal
    ) -> None:
        """Prepare the contexts for a model; state, cursor and journal are those of the batch."""
        self._model, self._hooks = model, hooks
        self._cursor, self._written = cursor, journal.written
        self.remarks: dict[int, Remark] = {}
        # Whole columns, read once: reading a field through a record costs ten times as much.
        self._asked = {
            name: cursor[name] for name in ("stage", "slot", "object", "affordance", "reason", "paid")
        }
        self._town = {name: state.towns[name] for name in ("tick", "seed")}
        wanted = ("serial", "need", "wallet", "inventory", "x", "y", "profile")
        self._resident = {name: state.residents[name][0] for name in wanted}
        self._stock = state.objects["stock"][0]
        self._items = tuple(
            tuple(number for number, most in enumerate(capacity) if most > 0)
            for capacity in model.tables.objects["capacity"].tolist()
        )
        self._needs = tuple(model.vocabulary.needs)
        self._item_names = tuple(model.vocabulary.items)
        self._places = tuple(model.plan.places[placed.place].id for placed in model.plan.objects)

    def begin(self) -> None:
        """Prepare for a run from its start."""
        self.remarks.clear()
        self._hooks.begin()

    def answer(self) -> None:
        """Call the hooks that the cursor requests and write the answer into the cursor."""
        stage = codes.HOOK_STAGES[self._asked["stage"].item()]
        if not stage:
            raise RuntimeError("internal error: the cursor holds no request")
        names = self._model.plan.affordances.affordances[self._asked["affordance"].item()].hooks[stage]
        context = self._context(stage)
        # Only rows about ties are written between the request and the row that records its outcome.
        row = int(self._written[0])
        if stage == "before":
            cancel = self._hooks.before(names, context)
            self._cursor["cancelled"] = cancel is not None
            if cancel is not None:
                self.remarks[row] = cancel.reason
        elif stage == "after":
            granted = self._hooks.after(names, context)
            self._write(granted)
            if granted:
                self.remarks[row] = granted
        else:
            self._hooks.failed(names, context)
        self._cursor["asked"] = self._asked["stage"]

    def _write(self, granted: Mapping[str, float]) -> None:
        """Write the effects of after-hooks."""
        c = self._cursor
        items = len(self._item_names)
        c["need"][0, : len(self._needs)] = [granted.get(f"need:{need}", 0.0) for need in self._needs]
        c["stock"][0, :items] = [granted.get(f"stock:{item}", 0) for item in self._item_names]
        c["inventory"][0, :items] = [granted.get(f"inventory:{item}", 0) for item in self._item_names]
        c["money"] = granted.get("money", 0)
        for part in TIE:
            c[part] = granted.get(f"relation:{part}", 0.0)

    def _context(self, stage: HookStage) -> HookContext:
        asked, model, r = self._asked, self._model, self._resident
        i, o = asked["slot"].item(), asked["object"].item()
        placed = model.plan.objects[o]
        kind = model.plan.affordances.affordances[asked["affordance"].item()]
        stock = self._stock[o].tolist()
        tick, serial = self._town["tick"].item(), r["serial"].item(i)
        day, tod = model.spec.clock(tick)
        return HookContext(
            stage=stage,
            hook="",
            tick=tick,
            day=day,
            tod=tod,
            agent_id=agent_id(serial),
            serial=serial,
            needs=dict(zip(self._needs, r["need"][i].tolist(), strict=False)),
            values={"wallet": r["wallet"].item(i)},
            inventory=dict(zip(self._item_names, r["inventory"][i].tolist(), strict=False)),
            position=(r["x"].item(i), r["y"].item(i)),
            profile=model.profile_names[r["profile"].item(i)],
            object_id=placed.id,
            object_type=placed.type,
            place_id=self._places[o],
            stock={self._item_names[number]: stock[number] for number in self._items[o]},
            affordance_id=kind.id,
            duration=kind.duration,
            paid=asked["paid"].item(),
            reason=codes.REASONS[asked["reason"].item()] if stage == "failed" else None,
            seed=self._town["seed"].item(),
            relations=TIE,
        )
