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


def read(account, buffered=0):
    status = account.status("test", "healthy", buffered=buffered, retries=0, last_error=None)
    assert_law(status)
    return status


@given(st.lists(CLASSES, max_size=5), STEPS, st.booleans())
def test_no_verb_loses_or_doubles_a_message(older, steps, spooled):
    numbers = []
    account = Account(numbers.append)
    account.begin_with(older)
    buffered = 0
    for verb, shedding in steps:
        status = read(account, buffered)
        if verb == "number":
            assert account.number(shedding) == status.emitted == numbers[-1] - 1
            buffered += 1
        elif verb == "reject":
            account.reject("too_large")
        elif verb == "spool":
            account.spool(buffered)
            buffered = 0
        elif status.spooled if spooled else buffered:
            buffered -= not spooled
            if verb == "deliver":
                account.deliver([status.delivered], [b"{}\n"], spooled=spooled)
            elif verb == "letter":
                account.dead_letter(spooled=spooled)
            else:
                account.drop("buffer_full", shedding, spooled=spooled)
    status, counts = read(account, buffered), account.counts(Stopwatch(), 0)
    assert status.offered == len(older) + sum(verb in ("number", "reject") for verb, _ in steps)
    assert sum(counts.emitted.values()) == status.emitted == account.numbered
    assert {each: sum(by.values()) for each, by in counts.dropped.items()} == status.dropped
    assert counts.bytes_delivered == 3 * status.delivered


def test_what_the_disk_did_not_confirm_is_dropped_instead_of_delivered():
    account = Account()
    account.deliver([account.number(Shedding.CRITICAL)], [b"{}\n"], spooled=False)
    assert (account.acked_through, read(account).delivered) == (0, 1)
    account.take_back(1)
    assert (read(account).delivered, account.dropped_by_class()) == (0, {"not_synced": {"normal": 1}})
