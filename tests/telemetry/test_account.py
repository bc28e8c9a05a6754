"""Every message of a sink is in one place of its account."""

from hypothesis import given
from hypothesis import strategies as st

from tests.telemetry.delivering import assert_law
from townlet_adapters.telemetry.delivery.account import Account
from townlet_adapters.telemetry.delivery.meters import Stopwatch
from townlet_adapters.telemetry.envelope import Shedding

CLASSES = st.sampled_from(Shedding)
STEPS = st.lists(
    st.tuples(st.sampled_from(["number", "reject", "spool", "deliver", "letter", "drop"]), CLASSES)
)


@given(st.lists(CLASSES, max_size=5), STEPS, st.booleans())
def test_no_verb_loses_or_doubles_a_message(older, steps, spooled):
    numbers = []
    account = Account(numbers.append)
    account.begin_with(older)
    buffered = 0
    for verb, shedding in steps:
        waiting = account.spooled if spooled else buffered
        if verb == "number":
            assert account.number(shedding) == account.numbered - 1 == numbers[-1] - 1
            buffered += 1
        elif verb == "reject":
            account.reject("too_large")
        elif verb == "spool":
            account.spool(buffered)
            buffered = 0
        elif waiting:
            buffered -= not spooled
            if verb == "deliver":
                account.deliver([account.delivered], [b"{}\n"], spooled=spooled)
            elif verb == "letter":
                account.dead_letter(spooled=spooled)
            else:
                account.drop("buffer_full", shedding, spooled=spooled)
        status = account.status("test", "healthy", buffered=buffered, retries=0, last_error=None)
        assert_law(status)
        counts = account.counts(Stopwatch(), 0)
        assert sum(counts.emitted.values()) == status.emitted == account.numbered
        assert {each: sum(by.values()) for each, by in counts.dropped.items()} == status.dropped
        assert account.bytes_delivered == 3 * account.delivered


def test_what_the_disk_did_not_confirm_is_dropped_instead_of_delivered():
    account = Account()
    account.deliver([account.number(Shedding.CRITICAL)], [b"{}\n"], spooled=False)
    assert account.acked_through == 0
    account.take_back(1)
    assert (account.delivered, account.dropped_by_class()) == (0, {"not_synced": {"normal": 1}})
