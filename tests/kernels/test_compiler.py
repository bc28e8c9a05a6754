"""Compiled code is kept by what it was compiled from (ADR 0008)."""

import ast
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.house.sources import ROOT, modules, tree
from townlet_adapters.kernels.compiler import (
    INTERPRETED,
    bound,
    cache_root,
    entry_kernel,
    family_of,
    kernel,
    sources_digest,
)
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
{then}
note_compiled()
"""
OTHERS_REMOVE_IT = "import os, shutil; shutil.rmtree(os.environ['NUMBA_CACHE_DIR'])"


@pytest.fixture
def family(tmp_path: Path) -> Path:
    """A folder with a rule in one module and the way in to it in another."""
    folder = tmp_path / "family"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "rules.py").write_text(RULE.format(answer=1))
    (folder / "ask.py").write_text(WAY_IN.format(folder=str(tmp_path), then=""))
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


def imports_of(path: Path) -> set[Path]:
    """The modules of families that a module imports, directly or through others."""
    found, left = set(), {path}
    while left:
        module = left.pop()
        found.add(module)
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
                paths = {ROOT / f"{name.replace('.', '/')}.py" for name in names}
                left |= {each for each in paths if each in FAMILIES} - found
    return found


FAMILIES = {*modules("townlet_adapters/worlds"), *modules("townlet_adapters/policies")}
ENTRIES = [path for path in sorted(FAMILIES) if "@entry_kernel" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", ENTRIES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_digest_of_an_entry_kernel_covers_every_source_of_its_family_that_it_reaches(path):
    reached, family = imports_of(path), family_of(path)
    assert len(reached) > 1, "nothing was found that it reaches"
    assert [each for each in sorted(reached) if not each.is_relative_to(family)] == []


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


@kernel
def doubled(number):
    return number * 2


@entry_kernel
def double(numbers, changed):
    for i in range(numbers.shape[0]):
        changed[i] = doubled(numbers[i])
    return numbers.shape[0]


def test_a_bound_call_reads_and_writes_the_arrays_that_it_was_bound_to():
    numbers, changed = np.array([1, 2, 3]), np.zeros(3, np.int64)
    call = bound(double, numbers, changed)
    assert changed.tolist() == [0, 0, 0]
    assert call() == 3
    assert changed.tolist() == [2, 4, 6]
    numbers[0] = 10
    assert call() == 3
    assert changed.tolist() == [20, 4, 6]


def test_a_bound_call_is_compiled_for_the_types_of_its_own_arguments():
    whole, real = np.array([1, 2]), np.array([0.5, 1.5])
    changed = np.zeros(2)
    bound(double, whole, np.zeros(2, np.int64))()
    assert bound(double, real, changed)() == 2
    assert changed.tolist() == [1.0, 3.0]


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
def test_a_generation_that_another_process_removed_meanwhile_is_compiled_again(family, tmp_path):
    cache = tmp_path / "cache"
    way_in = WAY_IN.format(folder=str(tmp_path), then=OTHERS_REMOVE_IT)
    (family / "ask.py").write_text(way_in)
    assert ask(family, cache) == (["1", "False", "0"], "")
    (family / "ask.py").write_text(way_in.replace(OTHERS_REMOVE_IT, "pass"))
    assert ask(family, cache) == (["1", "False", "0"], "")


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled, so nothing is kept")
def test_where_nothing_can_be_kept_it_says_so_and_goes_on(family, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file, where a folder is needed")
    words, complaint = ask(family, blocked)
    assert words == ["1", "False", "0"]
    assert "every start compiles them anew" in complaint
    assert f"{blocked}/family-" in complaint
    assert "set NUMBA_CACHE_DIR to a folder to which you alone can write" in complaint


OTHER = 54321
"""A user who is not the one that runs the tests."""


def open_to_all(cache):
    cache.chmod(0o777)


def open_to_the_group(cache):
    cache.chmod(0o775)


def below_an_open_folder(cache):
    cache.parent.chmod(0o777)


def generation_open(cache):
    (generation(cache)).chmod(0o777)


def file_open(cache):
    first = next(path for path in generation(cache).rglob("*") if path.is_file())
    generation(cache).chmod(0o755)
    first.chmod(0o666)


def linked_file(cache):
    first = next(path for path in generation(cache).rglob("*") if path.is_file())
    first.rename(cache.parent / "elsewhere")
    first.symlink_to(cache.parent / "elsewhere")


def reached_by_a_link_in_an_open_folder(cache):
    real, hall = cache.parent / "real", cache.parent / "hall"
    cache.rename(real)
    hall.mkdir(mode=0o700)
    (hall / "link").symlink_to(real)
    cache.symlink_to(hall / "link")
    hall.chmod(0o777)


def owned_by_another(cache):
    os.chown(cache, OTHER, -1)


def generation_owned_by_another(cache):
    os.chown(generation(cache), OTHER, -1)


def file_owned_by_another(cache):
    os.chown(next(path for path in generation(cache).rglob("*") if path.is_file()), OTHER, -1)


def below_a_folder_of_another(cache):
    os.chown(cache.parent, OTHER, -1)


def generation(cache):
    (found,) = cache.glob("family-*")
    return found


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled, so nothing is kept")
@pytest.mark.parametrize(
    ("expose", "told"),
    [
        (open_to_all, "other users can write to {cache}"),
        (open_to_the_group, "other users can write to {cache}"),
        (below_an_open_folder, "other users can write to {cache.parent}, above"),
        (generation_open, "(to change that: chmod go-w {cache}/family-"),
        (file_open, "(to change that: chmod -R go-w {cache}/family-"),
        (linked_file, "is a link"),
        (reached_by_a_link_in_an_open_folder, "other users can write to {cache.parent}/hall, above"),
        (owned_by_another, "{cache}, above"),
        (generation_owned_by_another, "belongs to another user"),
        (file_owned_by_another, "belongs to another user"),
        (below_a_folder_of_another, "{cache.parent}, above"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_compiled_code_that_another_user_could_have_written_is_not_run(family, tmp_path, expose, told):
    (tmp_path / "user").mkdir(mode=0o755)
    cache = tmp_path / "user/cache"
    assert ask(family, cache)[0] == ["1", "False", "0"]
    assert ask(family, cache) == (["1", "True", "1"], "")
    if "another" in expose.__name__ and os.geteuid() != 0:
        pytest.skip("only root can give files away")
    expose(cache)
    words, complaint = ask(family, cache)
    assert words == ["1", "False", "0"]
    assert told.format(cache=cache) in complaint
    assert "every start compiles them anew" in complaint


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled, so nothing is kept")
def test_what_a_user_with_an_open_umask_keeps_is_used_again(family, tmp_path):
    cache = tmp_path / "new/cache"
    before = os.umask(0o002)
    try:
        assert ask(family, cache) == (["1", "False", "0"], "")
        assert ask(family, cache) == (["1", "True", "1"], "")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled, so nothing is kept")
def test_a_sticky_folder_above_it_is_as_good_as_a_closed_one(family, tmp_path):
    (tmp_path / "sticky").mkdir()
    (tmp_path / "sticky").chmod(0o1777)
    cache = tmp_path / "sticky/cache"
    assert ask(family, cache)[1] == ""
    assert ask(family, cache) == (["1", "True", "1"], "")


@pytest.mark.skipif(INTERPRETED, reason="nothing is compiled, so nothing is kept")
def test_a_planted_pickle_does_not_run(family, tmp_path):
    cache = tmp_path / "cache"
    ask(family, cache)
    planted = tmp_path / "planted"
    (index,) = generation(cache).rglob("*.nbi")
    code = f"cposix\nsystem\n(S'touch {planted}'\ntR."
    index.write_bytes(code.encode())
    ask(family, cache)
    assert planted.exists(), "the pickle would not run anyway"
    planted.unlink()
    cache.chmod(0o777)
    index.write_bytes(code.encode())
    ask(family, cache)
    assert not planted.exists()


@pytest.mark.skipif(INTERPRETED, reason="interpreted, an inner kernel is a plain function")
def test_an_inner_kernel_refuses_a_call_from_python():
    with pytest.raises(TypeError, match="mix can only be called by kernels"):
        mix(1)
