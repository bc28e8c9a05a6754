import os
from pathlib import Path

import pytest

from townlet_adapters.secrets import read_secret
from townlet_core.errors import ConfigError

SECRET = b"0123456789abcdef"


def private(path, content=SECRET + b"\n", mode=0o600):
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_secret_comes_from_a_variable_or_a_private_file(tmp_path, monkeypatch):
    monkeypatch.setenv("TRIAL_KEY", SECRET.decode())
    private(tmp_path / "key")
    assert read_secret("key", "TRIAL_KEY", None) == SECRET
    assert read_secret("key", None, tmp_path / "key") == SECRET


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b"short", 0o600, "has 5 bytes"),
        (b"x" * 4097, 0o600, "has 4097 bytes"),
        (b"x" * 5000, 0o600, "cannot be read: Is larger than 4098 bytes"),
        (SECRET, 0o640, "can be read by others; a file that only you can read: chmod 600"),
    ],
)
def test_a_key_file_is_long_enough_and_nobody_elses_to_read(tmp_path, content, mode, said):
    private(tmp_path / "key", content, mode)
    with pytest.raises(ConfigError, match=said) as caught:
        read_secret("key", None, tmp_path / "key")
    assert caught.value.problems[0].key == "key_file"
    assert content.decode() not in str(caught.value)


def test_a_file_of_another_user_is_refused(tmp_path):
    path = Path("/etc/hostname")
    if os.geteuid() == 0:
        path = private(tmp_path / "key")
        os.chown(path, 65534, -1)
    with pytest.raises(ConfigError, match="belongs to another user; a file that you own"):
        read_secret("key", None, path)


def test_a_secret_of_the_longest_length_may_end_a_line_in_either_way(tmp_path):
    longest = b"x" * 4096
    for end in (b"", b"\n", b"\r\n"):
        private(tmp_path / "key", longest + end)
        assert read_secret("key", None, tmp_path / "key") == longest


def test_what_is_not_a_file_or_not_there_is_reported(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name, said in [
        ("pipe", "Is a FIFO, not a regular file"),
        (".", "Is a directory"),
        ("a\0b", "Is not a valid path"),
    ]:
        with pytest.raises(ConfigError, match=f"cannot be read: {said}; a file with the secret"):
            read_secret("key", None, tmp_path / name)
    with pytest.raises(ConfigError, match="none' cannot be read: No such file"):
        read_secret("key", None, tmp_path / "none")
    monkeypatch.delenv("TRIAL_KEY", raising=False)
    advice = "set it, or name another variable with key_env or a private file with key_file"
    with pytest.raises(ConfigError, match=f"the variable TRIAL_KEY is not set; {advice}"):
        read_secret("key", "TRIAL_KEY", None)
