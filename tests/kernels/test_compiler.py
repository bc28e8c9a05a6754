"""Compiled code is kept by what it was compiled from (ADR 0008)."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from townlet_adapters.kernels.compiler import INTERPRETED, cache_root, sources_digest
from townlet_adapters.kernels.draws import mix

RULE = """\
from townlet_adapters.kernels.compiler import kernel

@kernel
def rule():
    return {answer}
"""
WAY_IN = """\
import sys
sys.path.insert(0, {folder!r})
from family.rules import rule
from townlet_adapters.kernels.compiler import compiled_before, entry_kernel, note_compiled

@entry_kernel
def ask():
    return rule()

known = compiled_before()
print(ask(), known, sum(ask.stats.cache_hits.values()))
note_compiled()
"""


@pytest.fixture
def family(tmp_path: Path) -> Path:
    """A folder with a rule in one module and the way in to it in another."""
    folder = tmp_path / "family"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "rules.py").write_text(RULE.format(answer=1))
    (folder / "ask.py").write_text(WAY_IN.format(folder=str(tmp_path)))
    return folder


def ask(family: Path, cache: Path) -> tuple[list[str], str]:
    """Ask in a process of its own; gives its words and its complaints."""
    done = subprocess.run(
        [sys.executable, family / "ask.py"],
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split(), done.stderr


def test_the_digest_changes_with_every_source_and_with_nothing_else(family):
    digests = [sources_digest(family)]
    (family / "rules.py").write_text(RULE.format(answer=2))
    digests.append(sources_digest(family))
    (family / "more.py").touch()
    digests.append(sources_digest(family))
    (family / "more.py").rename(family / "less.py")
    digests.append(sources_digest(family))
    assert len(set(digests)) == 4
    (family / "notes.txt").write_text("no kernel can reach me")
    os.utime(family / "rules.py", (0, 0))
    assert sources_digest(family) == digests[-1]


def test_the_folder_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert cache_root() == tmp_path
    monkeypatch.delenv("NUMBA_CACHE_DIR")
    assert cache_root().parts[-2:] == ("townlet", "kernels")


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled, so nothing is kept")
def test_an_edit_of_a_rule_in_another_module_is_never_answered_from_the_cache(family, tmp_path):
    cache = tmp_path / "cache"
    assert ask(family, cache)[0] == ["1", "False", "0"]
    assert ask(family, cache)[0] == ["1", "True", "1"]
    (family / "rules.py").write_text(RULE.format(answer=2))
    assert ask(family, cache)[0] == ["2", "False", "0"]
    assert len(list(cache.glob("family-*"))) == 2


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled, so nothing is kept")
def test_old_generations_go_and_those_of_other_families_stay(family, tmp_path):
    cache = tmp_path / "cache"
    for age, name in enumerate(["family-a", "family-b", "family-c", "family-d", "family-e", "other-a"]):
        (cache / name).mkdir(parents=True)
        os.utime(cache / name, (1000 + age, 1000 + age))
    ask(family, cache)
    kept = sorted(path.name for path in cache.iterdir())
    assert len(kept) == 5
    assert [name for name in kept if len(name) == len("family-a")] == ["family-c", "family-d", "family-e"]
    assert "other-a" in kept


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled, so nothing is kept")
def test_where_nothing_can_be_kept_it_says_so_and_goes_on(family, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, where a folder is needed")
    words, complaint = ask(family, blocked)
    assert words == ["1", "False", "0"]
    assert f"cannot be kept in {blocked}" in complaint
    assert "set NUMBA_CACHE_DIR to a folder that can be written" in complaint


@pytest.mark.skipif(INTERPRETED, reason="interpreted, an inner kernel is a plain function")
def test_an_inner_kernel_refuses_a_call_from_python():
    with pytest.raises(TypeError, match="mix can only be called by kernels"):
        mix(1)
