"""Regular files only, without waiting, up to a stated size."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from townlet_adapters.files import open_regular, read_regular

pytestmark = pytest.mark.usefixtures("nothing_left_open")


def refusal(*arguments, **options) -> OSError:
    with pytest.raises(OSError, match=r".") as caught:
        read_regular(*arguments, **options)
    return caught.value


def test_a_file_is_read_up_to_its_limit_and_no_further(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x" * 100)
    assert read_regular(path, 100) == b"x" * 100
    assert refusal(path, 99).errno == errno.EFBIG
    assert "larger than 99 bytes" in refusal(path, 99).strerror


def test_a_file_that_takes_several_reads_is_whole(tmp_path):
    content = os.urandom(3 * 1024 * 1024 + 5)
    (tmp_path / "a").write_bytes(content)
    assert read_regular(tmp_path / "a", len(content)) == content


def test_a_file_without_end_is_refused_within_its_limit(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        file.truncate(2**40)
    assert refusal(tmp_path / "a", 10).errno == errno.EFBIG


def test_what_is_not_a_regular_file_is_refused_with_its_kind(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name, said in [
        (tmp_path / "fifo", "Is a FIFO, not a regular file"),
        ("/dev/zero", "Is a device, not a regular file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "gone", "No such file or directory"),
        (tmp_path / "a\0b", "Is not a valid path"),
        (tmp_path / "a\ud800b", "Is not a valid path"),
    ]:
        assert refusal(name, 10).strerror == said


def test_a_link_is_followed_unless_the_caller_wants_none(tmp_path):
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "link").symlink_to("a")
    assert read_regular(tmp_path / "link", 1) == b"x"
    assert refusal(tmp_path / "link", 1, follow_links=False).errno == errno.ELOOP


def test_no_descriptor_stays_open(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "a").write_bytes(b"x")
    before = len(list(Path("/proc/self/fd").iterdir()))
    refusal(tmp_path / "fifo", 1)
    with open_regular(tmp_path / "a") as descriptor:
        assert not os.get_inheritable(descriptor)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


MINIMAL = "townlet: 1\nseed: 7\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "cannot read the file: Is a FIFO, not a regular file"),
        ("world: {use: town, options: {town: fifo}}\n", "world.options.town: "),
        ("world: {use: town, options: {affordances: {extend: fifo}}}\n", "affordances.extend: "),
    ],
    ids=["config", "map", "manifest"],
)
def test_a_fifo_in_place_of_an_input_is_refused_at_once(tmp_path, text, said):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    config = fifo
    if text is not None:
        config = tmp_path / "trial.yaml"
        config.write_text(MINIMAL + text)
    command = [Path(sys.executable).with_name("townlet"), "config", "check", config]
    # The time limit only ends a test that would otherwise hang.
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (2, "")
    assert said in done.stdout
