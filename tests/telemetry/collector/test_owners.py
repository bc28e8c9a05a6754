"""A source belongs to the first sender that stores something of it, and no other one can speak for it."""

import json

import pytest

from tests.telemetry.collector.support import SECRET, SOURCE, Peer, Poster, data, line, lines, loss, stored
from townlet_adapters.telemetry.collector.checking import check_line
from townlet_adapters.telemetry.collector.credentials import secret_of, token_of
from townlet_adapters.telemetry.collector.owners import OWNERS_FILE
from townlet_adapters.telemetry.collector.store import Lane, Store, Submission, read_report
from townlet_adapters.telemetry.collector.stream import format_subject
from townlet_adapters.telemetry.wire.frames import NOTHING, Ack, HelloAck, Nack
from townlet_adapters.telemetry.wire.tls import ServerTlsSettings, client_context
from townlet_core.errors import OutputError

OTHER = "urn:townlet:run:Other:p2"
TOKENS = {"town-a": "token-of-the-town-a", "town-b": "token-of-the-town-b"}
SECRETS = {"town-a": b"secret-of-the-town-a-here", "town-b": b"secret-of-the-town-b-here"}


@pytest.fixture
def two_towns(collect):
    """Start collectors for frames and posts that know two towns."""

    def start():
        return collect(
            "tcp",
            "http",
            tokens=tuple(token_of(token.encode(), name) for name, token in TOKENS.items()),
            secrets=tuple(secret_of(secret, name) for name, secret in SECRETS.items()),
        )

    return start


def owners(folder):
    return {each.source: each.owner for each in read_report(folder).sources}


def put(store, owner, *batches):
    """Store batches of lines as one group."""
    events = [[check_line(each) for each in batch] for batch in batches]
    return store.store([Submission(Lane(), owner, batch[0].source, batch) for batch in events])


def test_a_number_stored_by_another_town_makes_no_town_forget_its_events(two_towns, folder):
    """A client that knows a run's id and has a token of its own must not acknowledge for the collector."""
    collector = two_towns()
    frames, posts = collector.ports()
    with Peer(frames) as town:
        assert town.hello(token=TOKENS["town-a"]) == HelloAck(NOTHING)
        assert town.deliver(lines(0, 9)) == Ack(9)
        with Peer(frames) as attacker:
            assert attacker.hello(token=TOKENS["town-b"]) == Nack("forbidden")
        with Poster(posts, secret=SECRETS["town-b"]) as attacker:
            status, answer, headers = attacker.post([line(521)])
        assert (status, answer["error"], headers["retry-after"]) == (403, "other_owner", None)
    with Peer(frames) as town:
        assert town.hello(token=TOKENS["town-a"]) == HelloAck(9)
        assert town.deliver(lines(10, 521)) == Ack(521)
    assert stored(folder) == {SOURCE: list(range(522))}
    assert collector.collector.figures.refused["other_owner"] == 2
    assert owners(folder) == {SOURCE: "town-a"}


def test_a_number_far_ahead_settles_nothing_below_it_even_from_the_owner(two_towns, folder):
    frames, _ = two_towns().ports()
    with Peer(frames) as town:
        town.hello(token=TOKENS["town-a"])
        town.deliver(lines(0, 9))
    with Peer(frames) as mistaken:
        mistaken.hello(token=TOKENS["town-a"])
        assert mistaken.deliver([line(10**6)]) == Ack(10**6)
    with Peer(frames) as town:
        assert town.hello(token=TOKENS["town-a"]) == HelloAck(9)
        assert town.deliver(lines(10, 521)) == Ack(521)
    assert stored(folder) == {SOURCE: [*range(10), 10**6, *range(10, 522)]}


def test_numbers_that_are_declared_lost_are_settled(two_towns):
    frames, _ = two_towns().ports()
    with Peer(frames) as town:
        town.hello(token=TOKENS["town-a"])
        town.deliver([*lines(0, 9), *lines(20, 29)])
    with Peer(frames) as town:
        assert town.hello(token=TOKENS["town-a"]) == HelloAck(9)
        town.deliver([loss(30, [(10, 14)]), loss(31, [(15, 19)], reason="process_died")])
    with Peer(frames) as town:
        assert town.hello(token=TOKENS["town-a"]) == HelloAck(31)


def test_losses_of_a_source_are_declared_by_its_owner_alone(two_towns, folder):
    """A false loss record would make the report call complete what is not."""
    frames, posts = two_towns().ports()
    with Peer(frames) as town:
        town.hello(token=TOKENS["town-a"])
        town.deliver([*lines(0, 3), *lines(6, 9)])
    false = loss(0, [(4, 5)], source=OTHER)
    with Peer(frames) as attacker:
        attacker.hello(OTHER, TOKENS["town-b"])
        attacker.send(data([false]))
        assert [attacker.receive(), attacker.receive()] == [Nack("forbidden"), None]
    with Poster(posts, secret=SECRETS["town-b"]) as attacker:
        assert attacker.post([false])[0] == 403
    (report,) = read_report(folder).sources
    assert (list(report.missing), report.declared) == ([(4, 5)], {})
    with Peer(frames) as town:
        town.hello(OTHER, TOKENS["town-a"])
        assert town.deliver([false]) == Ack(0)
    assert read_report(folder).exact
    assert owners(folder) == {SOURCE: "town-a", OTHER: "town-a"}


def test_a_loss_record_takes_the_source_that_it_is_about(two_towns, folder):
    frames, _ = two_towns().ports()
    with Peer(frames) as town:
        town.hello(OTHER, TOKENS["town-a"])
        town.deliver([loss(0, [(0, 9)], source=OTHER)])
    assert owners(folder) == {SOURCE: "town-a", OTHER: "town-a"}
    with Peer(frames) as attacker:
        assert attacker.hello(SOURCE, TOKENS["town-b"]) == Nack("forbidden")


def test_a_greeting_alone_takes_no_source(two_towns, folder):
    frames, _ = two_towns().ports()
    with Peer(frames) as idle, Peer(frames) as quick, Peer(frames) as late:
        assert idle.hello(token=TOKENS["town-a"]) == HelloAck(NOTHING)
        assert quick.hello(token=TOKENS["town-b"]) == HelloAck(NOTHING)
        assert late.hello(token=TOKENS["town-a"]) == HelloAck(NOTHING)
        assert quick.deliver(lines(0, 1)) == Ack(1)
        late.send(data(lines(0, 1)))
        assert [late.receive(), late.receive()] == [Nack("forbidden"), None]
    assert owners(folder) == {SOURCE: "town-b"}


def test_two_senders_in_one_group_of_writes_do_not_both_get_a_source(folder):
    store = Store(folder)
    store.open()
    outcomes = store.store(
        [
            Submission(Lane(), owner, OTHER, [check_line(line(number, OTHER))])
            for number, owner in enumerate("abab")
        ]
    )
    store.close()
    assert [each.trouble for each in outcomes] == [None, "other_owner", None, "other_owner"]
    assert stored(folder) == {OTHER: [0, 2]}


def test_owners_survive_restarts_and_files_that_are_moved_away(two_towns, folder):
    collector = two_towns()
    with Peer(collector.ports()[0]) as town:
        town.hello(token=TOKENS["town-a"])
        town.deliver(lines(0, 1))
    collector.stop()
    for path in folder.glob("run-a.*"):
        path.unlink()
    frames, _ = two_towns().ports()
    with Peer(frames) as attacker:
        assert attacker.hello(token=TOKENS["town-b"]) == Nack("forbidden")
    with Peer(frames) as town:
        assert town.hello(token=TOKENS["town-a"]) == HelloAck(NOTHING)


def test_a_name_that_is_the_same_for_token_and_secret_is_one_owner(two_towns, folder):
    frames, posts = two_towns().ports()
    with Peer(frames) as town:
        town.hello(token=TOKENS["town-a"])
        town.deliver(lines(0, 1))
    with Poster(posts, secret=SECRETS["town-a"]) as town:
        assert town.post(lines(0, 3))[1] == {"stored": 2, "duplicates": 2}
    assert owners(folder) == {SOURCE: "town-a"}


def test_a_client_certificate_owns_by_its_subject(collect, certificates, folder):
    server = certificates.server
    settings = ServerTlsSettings(server.cert_file, server.key_file, client_ca_file=certificates.ca_file)
    (port,) = collect("tls", tls=settings, tokens=()).ports()

    def connect(pair):
        files = {"cert_file": pair.cert_file, "key_file": pair.key_file}
        return Peer(port, client_context(certificates.trusting(**files)))

    with connect(certificates.client) as town:
        assert town.hello(token="") == HelloAck(NOTHING)
        assert town.deliver(lines(0, 1)) == Ack(1)
    with connect(certificates.revoked_client) as another:
        assert another.hello(token="") == Nack("forbidden")
    with connect(certificates.client) as town:
        assert town.hello(token="") == HelloAck(1)
    assert owners(folder)[SOURCE].startswith("organizationName=")


def test_where_a_token_is_asked_for_its_name_owns_and_not_the_certificate(collect, certificates, folder):
    server, client = certificates.server, certificates.client
    settings = ServerTlsSettings(server.cert_file, server.key_file, client_ca_file=certificates.ca_file)
    (port,) = collect("tls", tls=settings, tokens=(token_of(TOKENS["town-a"].encode(), "town-a"),)).ports()
    files = {"cert_file": client.cert_file, "key_file": client.key_file}
    with Peer(port, client_context(certificates.trusting(**files))) as town:
        town.hello(token=TOKENS["town-a"])
        town.deliver(lines(0, 1))
    assert owners(folder) == {SOURCE: "town-a"}


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        (((("commonName", "a"),),), "commonName=a"),
        (((("organizationName", "O"),), (("commonName", "a b"),)), "organizationName=O,commonName=a b"),
        (((("commonName", "a,commonName=b"),),), r"commonName=a\,commonName\=b"),
        (((("commonName", "a\\"),), (("commonName", "b"),)), r"commonName=a\\,commonName=b"),
        (((("commonName", "a\nb"),),), r"commonName=a\u00000ab"),
        (((("commonName", r"a\u00000ab"),),), r"commonName=a\\u00000ab"),
        ((), None),
        (None, None),
    ],
)
def test_a_subject_is_one_line_that_no_other_subject_has(subject, text):
    assert format_subject(subject) == text


def test_a_long_subject_is_a_digest():
    first, second = (format_subject(((("commonName", "x" * 600 + end),),)) for end in "ab")
    assert first != second
    assert [first[:7], len(first)] == ["sha256=", 71]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"{SOURCE} us\nnonsense\n", ":2: it does not begin with a source"),
        (f"{SOURCE}\n", ":1: it does not end with the name of an owner"),
        (f"{SOURCE} \n", ":1: it does not end with the name of an owner"),
        (f"{SOURCE} u\x07s\n", ":1: it does not end with the name of an owner"),
        (f"{SOURCE} {'x' * 1024}\n", ":1: it does not end with the name of an owner"),
        (f"{SOURCE} us\n{SOURCE} them\n", ":2: the source has another owner above"),
        ("x" * 3000, ":1: it does not begin with a source"),
    ],
)
def test_a_file_of_owners_that_no_collector_wrote_is_refused_by_line_and_left_as_it_is(folder, text, place):
    folder.mkdir()
    path = folder / OWNERS_FILE
    path.write_text(text)
    with pytest.raises(OutputError) as refusal:
        Store(folder).open()
    assert str(refusal.value).startswith(f"{path}{place}; nothing was changed: ")
    with pytest.raises(OutputError):
        read_report(folder)
    assert path.read_text() == text


def test_an_owner_that_a_crash_left_half_written_is_cut_off(folder):
    store = Store(folder)
    store.open()
    put(store, "us", lines(0, 1))
    store.close()
    path = folder / OWNERS_FILE
    whole = path.read_bytes()
    path.write_bytes(whole + f"{OTHER} som".encode())
    assert owners(folder) == {SOURCE: "us"}
    store = Store(folder)
    store.open()
    assert path.read_bytes() == whole
    put(store, "others", lines(0, 0, OTHER))
    store.close()
    assert owners(folder) == {SOURCE: "us", OTHER: "others"}


def test_a_source_can_be_released_by_removing_its_line(folder, two_towns):
    folder.mkdir()
    (folder / OWNERS_FILE).write_text(f"{OTHER} town-a\n")
    (folder / "run-a.p1.ndjson").write_bytes(b"".join(lines(0, 3)))
    frames, _ = two_towns().ports()
    with Peer(frames) as town:
        assert town.hello(token=TOKENS["town-b"]) == HelloAck(3)
        assert town.deliver(lines(4, 5)) == Ack(5)
    assert owners(folder)[SOURCE] == "town-b"


def test_the_report_names_the_owner(two_towns, folder):
    collector = two_towns()
    with Peer(collector.ports()[0]) as town:
        town.hello(token=TOKENS["town-a"])
        town.deliver(lines(0, 1))
    collector.stop()
    report = json.loads((folder / "report.json").read_text())
    assert [each["owner"] for each in report["sources"]] == ["town-a"]


def test_tokens_and_secrets_given_without_a_name_belong_to_one_owner(collect, folder):
    frames, posts = collect("tcp", "http").ports()
    with Peer(frames) as town:
        town.hello()
        town.deliver(lines(0, 1))
    with Poster(posts, secret=SECRET) as town:
        assert town.post(lines(2, 3))[0] == 200
    assert owners(folder) == {SOURCE: "default"}
