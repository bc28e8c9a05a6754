"""The sentence of each kind of event, in one table.

A function here reads an event and notes it in the diaries of those it is about. Words are the past tense
without a subject, as in a diary, unless another resident acts. A kind that is in neither table, such as one
of a plugin, gets a plain sentence made of its name and its fields.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from townlet_adapters.story import english
from townlet_adapters.story.chronicle import Chronicle, Recorder, Scene
from townlet_adapters.story.notes import Remark
from townlet_core.events.schema import is_diagnostic

_WORTH_A_WAIT: Final = 5
_A_FAILURE: Final = 3
_A_BLOW: Final = 5
_A_TURN: Final = 8
_A_FEUD: Final = 10
_LIVELY: Final = 0.7
"""Quality from which a chat is a lively one."""
_DEAR: Final = 0.5
"""Trust and familiarity, or rivalry, from which it matters that another resident leaves town."""

_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "agent_exit": "it was time to leave town",
        "busy": "something else was under way",
        "closed": "the {thing} was closed",
        "cooldown": "it was too soon after the last time",
        "idle": "the {thing} was left unused",
        "insufficient_funds": "there was too little money",
        "insufficient_items": "something was missing for it",
        "insufficient_stock": "the {thing} was empty",
        "interrupted": "something came between",
        "inventory_full": "more could not be carried",
        "precondition_failed": "it was not the right moment",
        "timeout": "it was not used in time",
        "too_far": "the {thing} was too far away",
        "utility_lost": "the {thing} stopped working",
        "utility_off": "the {thing} did not work",
    }
)


_MINUTES_OF_A_DAY: Final = 1440
_EXITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "collapse": "collapsed from hunger and was taken out of town",
        "neglect": "could not go on like this and left town for good",
        "eviction": "was evicted over unpaid rent and left town for good",
        "unemployment": "had found no work and left town for good",
        "age_out": "moved away to live elsewhere",
        "killed": "was removed from town",
    }
)
_WISHES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "collapse": "was close to a collapse",
        "neglect": "could not go on like this",
        "eviction": "was to be evicted over unpaid rent",
        "unemployment": "wanted to look for work elsewhere",
        "age_out": "was ready to move away",
    }
)


def _start_use(scene: Scene) -> None:
    scene.person().diary.begin(
        scene.at,
        scene.text("affordance_id"),
        scene.text("object_id"),
        duration=scene.number("duration"),
        paid=scene.number("paid"),
    )


def _finish_use(scene: Scene) -> None:
    scene.person().diary.finish(scene.at, scene.text("affordance_id"), scene.text("object_id"))


def _fail_use(scene: Scene) -> None:
    diary, progress = scene.person().diary, scene.number("progress")
    waited = diary.drop_use(scene.at)
    diary.spend(-scene.number("refunded"))
    what = english.phrase(scene.text("affordance_id"), past=False)
    detail = scene.fields.get("detail")
    why = detail if isinstance(detail, str) else _reason(scene)
    if progress and scene.text("reason") == "left":
        words = f"began to {what}, and left after {english.lasting(progress)}"
    elif progress:
        words = f"began to {what}, and had to stop after {english.lasting(progress)}: {why}"
    elif waited >= _WORTH_A_WAIT:
        words = f"waited {english.lasting(waited)} in vain to {what}: {why}"
    else:
        words = f"could not {what}{{times}}: {why}"
    diary.remark(Remark(scene.at, words, weight=_A_FAILURE, merges=not progress))


def _join_queue(scene: Scene) -> None:
    scene.person().diary.join(scene.at, scene.text("affordance_id"), scene.text("object_id"))


def _get_object(scene: Scene) -> None:
    scene.person().diary.wait(scene.number("waited"))


def _leave_queue(scene: Scene) -> None:
    diary, waited, reason = scene.person().diary, scene.number("waited"), scene.text("reason")
    thing = english.noun(scene.text("object_id"))
    if reason in {"timeout", "idle"}:
        words = f"lost the place at the {thing}{{times}}, for not using it"
    else:
        diary.wait(waited)
        why = "" if reason == "left" else f": {_reason(scene)}"
        after = f" after {english.lasting(waited)}" if waited else ""
        words = f"left the queue for the {thing}{after}{why}"
    diary.drop_use(scene.at)
    diary.remark(Remark(scene.at, words, weight=_A_FAILURE, merges=True))


def _conflict(scene: Scene) -> None:
    actor, rival, reason = scene.text("actor"), scene.text("rival"), scene.text("reason")
    thing = english.noun(str(scene.fields.get("object_id") or "queue"))
    mine, theirs = scene.of(actor).diary, scene.of(rival).diary
    if reason == "waiting":
        mine.lose_patience(rival)
        theirs.remark(
            Remark(scene.at, f"{{who}} waited impatiently for the {thing}", (actor,), 2, merges=True)
        )
        return
    if reason == "ghost_step":
        own, others = (
            f"held up the queue at the {thing}, and {{who}} went first",
            f"went before {{who}} at the {thing}",
        )
    else:
        own, others = "pushed past {who}{times}", "{who} pushed past{times}"
    mine.remark(Remark(scene.at, own, (rival,), merges=True))
    theirs.remark(Remark(scene.at, others, (actor,), merges=True))


def _hand_over(scene: Scene) -> None:
    giver, taker = scene.text("agent_id"), scene.text("to")
    thing = english.noun(scene.text("object_id"))
    scene.of(giver).diary.remark(Remark(scene.at, f"let {{who}} have the {thing} next", (taker,), 2))
    scene.of(taker).diary.remark(Remark(scene.at, f"{{who}} kept the {thing} free", (giver,), 2))


def _chat(scene: Scene) -> None:
    speaker, listener = scene.text("speaker"), scene.text("listener")
    if not scene.says("success"):
        words = "had an awkward talk with {who}{times}"
    elif scene.real("quality") >= _LIVELY:
        words = "had a lively chat with {who}{times}"
    else:
        words = "chatted with {who}{times}"
    scene.of(speaker).diary.remark(Remark(scene.at, words, (listener,), merges=True))
    scene.of(listener).diary.remark(Remark(scene.at, words, (speaker,), merges=True))


def _share_meal(scene: Scene) -> None:
    agents = scene.texts("agents")
    for each in agents:
        others = tuple(other for other in agents if other != each)
        scene.of(each).diary.remark(
            Remark(scene.at, "shared a meal with {who}{times}", others, 2, merges=True)
        )


def _avoid(scene: Scene) -> None:
    words = "kept out of the way of {who}{times}"
    scene.person().diary.remark(Remark(scene.at, words, (scene.text("rival"),), 2, merges=True))


def _cross_threshold(scene: Scene) -> None:
    words, weight = {
        "friend": ("came to think of {who} as a friend", _A_TURN),
        "rival": ("had had enough of {who}, and meant to keep away", _A_TURN),
        "feud": ("fell out with {who} for good: it is a feud now", _A_FEUD),
    }.get(scene.text("threshold"), ("saw {who} in another light", _A_FAILURE))
    scene.person("owner").diary.remark(Remark(scene.at, words, (scene.text("other"),), weight))


def _tie(scene: Scene) -> None:
    """Note only that a friend or rival leaves town; what began or changed a tie has its own sentence."""
    if scene.text("status") != "removed" or scene.text("reason") != "exit":
        return
    if scene.real("rivalry") >= _DEAR:
        words = "parted from {who} without regret"
    elif scene.real("trust") + scene.real("familiarity") >= _DEAR:
        words = "said goodbye to {who}"
    else:
        return
    person = scene.person("owner")
    person.diary.remark(Remark(scene.at, words, (scene.text("other"),), _A_FAILURE, merges=True))


def _come_to_work(scene: Scene) -> None:
    late = scene.number("offset") if scene.text("state") != "on_time" else 0
    scene.person().diary.come_to_work(scene.at, scene.text("job_id"), late)


def _start_late(scene: Scene) -> None:
    scene.person().diary.pay_fine(scene.number("fine"))


def _miss_shift(scene: Scene) -> None:
    fine, stamps = scene.number("fine"), scene.number("stamps")
    fined = f", fined {english.coins(fine)}" if fine else ""
    count = f"the {english.ordinal(stamps)} absence in seven days" if stamps > 1 else "an absence"
    diary = scene.person().diary
    diary.spend(fine)
    diary.remark(Remark(scene.at, f"was missing at work as {_job(scene)}{fined}: {count}", weight=_A_BLOW))


def _leave_work_early(scene: Scene) -> None:
    scene.person().diary.leave_early(scene.number("remaining"))


def _catch_up(scene: Scene) -> None:
    _with_colleagues(scene, "{who} had begun the shift without waiting", "began the shift before {who} came")


def _cover(scene: Scene) -> None:
    _with_colleagues(scene, "{who} did the work of the shift", "did the work of {who} as well")


def _with_colleagues(scene: Scene, own: str, theirs: str) -> None:
    resident, colleagues = scene.text("agent_id"), scene.texts("coworkers")
    if colleagues:
        scene.of(resident).diary.remark(Remark(scene.at, own, colleagues, 2))
    for each in colleagues:
        scene.of(each).diary.remark(Remark(scene.at, theirs, (resident,), 2, merges=True))


def _end_shift(scene: Scene) -> None:
    scene.person().diary.end_shift(scene.at, scene.number("paid_ticks"), scene.number("withheld"))


def _review(scene: Scene) -> None:
    words = {
        "queued": "the absences as {job} came up for review",
        "refused": "too many others wait for a review of absences as {job}",
        "withdrawn": "the review of the absences as {job} was withdrawn",
        "deferred": "the decision about the job as {job} was put off",
    }.get(scene.text("status"))
    if words is not None:
        words = words.replace("{job}", _job(scene))
        scene.person().diary.remark(Remark(scene.at, words, weight=_A_FAILURE, merges=True))


def _lose_job(scene: Scene) -> None:
    person = scene.person()
    person.job = ""
    person.diary.remark(Remark(scene.at, f"lost the job as {_job(scene)} after too many absences", weight=8))


def _get_job(scene: Scene) -> None:
    person, reason = scene.person(), scene.text("reason")
    person.job = scene.text("job_id")
    if reason not in {"start", "arrival"}:
        how = "was made" if reason == "console" else "found work as"
        person.diary.remark(Remark(scene.at, f"{how} {_job(scene)}", weight=_A_BLOW))


def _rent(scene: Scene) -> None:
    diary, owed = scene.person().diary, scene.number("owed_days")
    diary.pay_rent(scene.number("paid"))
    if owed:
        days = "a day is" if owed == 1 else f"{owed} days are"
        diary.remark(Remark(scene.at, f"could not pay the whole rent: {days} owed", weight=_A_FAILURE))


def _arrive(scene: Scene) -> None:
    person = scene.person()
    person.name, person.profile = scene.text("name"), scene.text("profile")
    job = scene.fields.get("job_id")
    person.job = job if isinstance(job, str) else ""
    money = f"with {english.coins(scene.number('wallet'))}"
    if scene.text("reason") != "start":
        work = f", to work as {english.with_article(english.noun(person.job))}" if person.job else ""
        words = f"came to live in town {money}{work}"
        person.diary.remark(Remark(scene.at, words, weight=_A_FEUD))
    else:
        person.diary.remark(Remark(scene.at, f"began {money} in the wallet"))


def _leave_town(scene: Scene) -> None:
    days, money = scene.number("age") // _MINUTES_OF_A_DAY, english.coins(scene.number("wallet"))
    after = f"after {days} {'day' if days == 1 else 'days'}, " if days else ""
    why = _EXITS.get(scene.text("reason"), "left town for good")
    scene.person().diary.remark(Remark(scene.at, f"{after}{why}, with {money}", weight=_A_FEUD))


def _wait_to_leave(scene: Scene) -> None:
    why = _WISHES.get(scene.text("reason"), "was about to leave town")
    kept = {"suppressed": "not while things were so bad", "cap": "not on the same day as others"}
    what = kept.get(scene.text("cause"), "not so soon after the last one who left")
    scene.person().diary.remark(Remark(scene.at, f"{why}, but {what}", weight=_A_BLOW))


def _command(scene: Scene) -> None:
    """Note a command that was about residents with each of them; a chat has its own sentence."""
    result = scene.fields.get("result")
    if not isinstance(result, Mapping) or scene.text("status") != "ok" or scene.text("name") == "force_chat":
        return
    words = f"an operator intervened{{times}}: {scene.text('name').replace('_', ' ')}"
    for key in ("agent_id", "owner", "other"):
        resident = result.get(key)
        if isinstance(resident, str) and (key != "other" or result.get("both", True)):
            scene.of(resident).diary.remark(Remark(scene.at, words, weight=_A_BLOW, merges=True))


def _possess(scene: Scene) -> None:
    words = {
        "acquire": "was guided by a person from here on",
        "release": "was left to decide alone again",
        "expire": "was no longer guided by the person",
    }.get(scene.text("action"))
    if words is not None:
        scene.person().diary.remark(Remark(scene.at, words, weight=_A_BLOW))


def _hold_back(scene: Scene) -> None:
    reason, target = scene.text("reason"), scene.text("target")
    if reason == "chat_rival":
        remark = Remark(scene.at, "thought better of talking to {who}{times}", (target,), 2, merges=True)
    else:
        words = f"kept away from the {english.noun(target)}{{times}}, because of the company"
        remark = Remark(scene.at, words, weight=2, merges=True)
    scene.person().diary.remark(remark)


def _invite(scene: Scene) -> None:
    """Note an event that names residents: a meeting. What others mean for a resident has its own sentence."""
    known, targets = scene.named(), scene.texts("targets")
    people = [each for each in targets if each in known]
    at = "".join(f" at the {english.noun(each)}" for each in targets if each not in known)
    for each in people:
        others = tuple(other for other in people if other != each)
        if others:
            known[each].diary.remark(Remark(scene.at, f"was asked to meet {{who}}{at}", others, _A_FAILURE))


def _plain(scene: Scene) -> None:
    """Note an event of a kind that has no sentence, by its name and its fields."""
    if is_diagnostic(scene.kind):
        return
    family, _, rest = scene.kind.partition(".")
    for agent_id, person in scene.named().items():
        facts = ", ".join(
            f"{name.replace('_', ' ')} {scene.name(value)}"
            for name, value in scene.fields.items()
            if value != agent_id and not isinstance(value, Mapping | list | None)
        )
        words = f"{family.capitalize()}: {rest.replace('_', ' ').replace('.', ' ')}{{times}}"
        person.diary.remark(Remark(scene.at, f"{words} ({facts})" if facts else words, merges=True))


def _reason(scene: Scene) -> str:
    reason = scene.text("reason")
    words = _REASONS.get(reason, reason.replace("_", " "))
    return words.replace("{thing}", english.noun(scene.text("object_id")))


def _job(scene: Scene) -> str:
    return english.with_article(english.noun(scene.text("job_id")))


SENTENCES: Final[Mapping[str, Recorder]] = MappingProxyType(
    {
        "affordance.fail": _fail_use,
        "affordance.finish": _finish_use,
        "affordance.start": _start_use,
        "console.result": _command,
        "economy.rent": _rent,
        "employment.absent": _miss_shift,
        "employment.arrived": _come_to_work,
        "employment.departed_early": _leave_work_early,
        "employment.helped": _catch_up,
        "employment.hired": _get_job,
        "employment.job_loss": _lose_job,
        "employment.late_start": _start_late,
        "employment.review": _review,
        "employment.shift_covered": _cover,
        "employment.shift_end": _end_shift,
        "lifecycle.arrive": _arrive,
        "lifecycle.exit": _leave_town,
        "lifecycle.exit_pending": _wait_to_leave,
        "perturbation.started": _invite,
        "policy.guardrail": _hold_back,
        "policy.possession": _possess,
        "queue.conflict": _conflict,
        "queue.grant": _get_object,
        "queue.handover": _hand_over,
        "queue.join": _join_queue,
        "queue.leave": _leave_queue,
        "social.avoidance": _avoid,
        "social.chat": _chat,
        "social.shared_meal": _share_meal,
        "social.threshold": _cross_threshold,
        "social.tie": _tie,
    }
)
"""What notes the events of each kind."""

SILENT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "economy.day": "the accounts of the whole town",
        "economy.price": "about the whole town",
        "economy.restock": "about an object",
        "lifecycle.moved": "a step aside, or what a command did, which has its own sentence",
        "loop.tick": "the summary of a tick",
        "narration": "a sentence already, about what the other kinds say",
        "perturbation.cancelled": "about the whole town",
        "perturbation.ended": "about the whole town",
        "perturbation.scheduled": "about the whole town; its start has its own sentence",
        "policy.metadata": "about the program",
        "promotion.state": "about the program",
        "stability.alert": "about the whole town",
        "stability.metrics": "about the whole town",
        "rivalry.events": "the conflicts of a tick again, each of which has its own sentence",
    }
)
"""Kinds without a sentence, and why."""


def chronicle() -> Chronicle:
    """Return a chronicle with these sentences, ready for the first event of a run."""
    return Chronicle(SENTENCES, SILENT, _plain)
