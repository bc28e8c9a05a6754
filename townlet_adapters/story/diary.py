"""What a resident is about to do, and the notes of its day so far."""

from dataclasses import replace

from townlet_adapters.story.notes import Moment, Note, Remark, Shift, Tally, Use


class Diary:
    """One resident's present: the use that it waits for or is in, its shift, and the notes of the day."""

    def __init__(self) -> None:
        """Begin with empty pages."""
        self._use: Use | None = None
        self._shift: Shift | None = None
        self._fine = 0
        self._notes: list[Note] = []
        self._tally = Tally()

    def remark(self, remark: Remark) -> None:
        """Note something that happened."""
        self._notes.append(remark)

    def spend(self, mills: int) -> None:
        """Count money spent, or given back when it is negative."""
        self._tally.spent += mills

    def pay_rent(self, mills: int) -> None:
        """Count rent."""
        self._tally.rent += mills

    def join(self, at: Moment, affordance: str, thing: str) -> None:
        """Begin to wait for an object."""
        self._use = Use(at, affordance, thing)

    def lose_patience(self, other: str) -> None:
        """Grow impatient with the one who has the object."""
        if self._use is not None:
            self._use = replace(self._use, annoying=(*self._use.annoying, other))

    def wait(self, ticks: int) -> None:
        """Come to the end of a wait."""
        self._tally.waited += ticks
        if self._use is not None:
            self._use = replace(self._use, waited=self._use.waited + ticks)

    def begin(self, at: Moment, affordance: str, thing: str, *, duration: int, paid: int) -> None:
        """Begin a use that takes so many ticks and costs so many mills."""
        use = self._use
        if use is None or (use.affordance, use.thing) != (affordance, thing):
            use = Use(at, affordance, thing)
        self._use = replace(use, begun=at, duration=duration, paid=paid)
        self.spend(paid)

    def finish(self, at: Moment, affordance: str, thing: str) -> None:
        """Complete a use; one with an unknown beginning is noted, too.

        A brief one that began before midnight is on the day before alone.
        """
        use = self._use
        if use is None or use.begun is None or use.affordance != affordance:
            use = Use(at, affordance, thing, begun=at)
        self._count_sleep(use, at)
        if not (use.is_carried and use.is_brief):
            self._notes.append(replace(use, until=at.tick, over=True))
        self._use = None

    def drop_use(self, at: Moment) -> int:
        """End a use or a wait that came to nothing; returns the ticks of the wait before it."""
        use, self._use = self._use, None
        if use is None:
            return 0
        if use.begun is not None:
            self._count_sleep(use, at)
        return use.waited

    def come_to_work(self, at: Moment, job: str, late: int) -> None:
        """Be present in a shift for the first time."""
        self._shift, self._fine = Shift(at, job, late, self._fine), 0

    def pay_fine(self, mills: int) -> None:
        """Pay for coming late, before the resident comes or when it does."""
        self.spend(mills)
        if self._shift is None:
            self._fine = mills
        else:
            self._shift = replace(self._shift, fined=self._shift.fined + mills)

    def leave_early(self, ticks: int) -> None:
        """Leave before the end of the shift."""
        if self._shift is not None:
            self._shift = replace(self._shift, early=ticks)

    def end_shift(self, at: Moment, paid_ticks: int, withheld: int) -> None:
        """Come to the end of a shift, attended or not."""
        shift, self._shift, self._fine = self._shift, None, 0
        self._tally.worked += paid_ticks
        if shift is not None:
            self._notes.append(replace(shift, until=at.tick, withheld=withheld, over=True))

    def turn_page(self, last: Moment) -> tuple[list[Note], Tally]:
        """End the day; what goes on is noted, and goes on at midnight.

        Args:
            last: the last moment of the day.

        Returns:
            The notes of the day, and what they come to.
        """
        midnight = Moment(last.tick + 1, last.day + 1, 0)
        use, shift = self._use, self._shift
        if use is not None and use.begun is not None:
            self._count_sleep(use, last)
            self._notes.append(replace(use, until=last.tick, over=use.is_brief))
            use = replace(use, waited=0, annoying=(), paid=0)
        if use is not None:
            self._use = replace(use, at=midnight)
        if shift is not None:
            self._notes.append(replace(shift, until=last.tick))
            self._shift = replace(shift, at=midnight, late=0, fined=0)
        page = self._notes, self._tally
        self._notes, self._tally = [], Tally()
        return page

    def _count_sleep(self, use: Use, at: Moment) -> None:
        """Count the part of a sleep that is on this day."""
        if use.is_sleep and use.begun is not None:
            first = max(use.begun.tick, at.tick - at.tod)
            self._tally.slept += at.tick - first + 1
