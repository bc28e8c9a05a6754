"""A config reads the variables and files that its operator allowed, and nothing else."""

import re
import shlex
import shutil
from pathlib import Path

import click
import pytest

from townlet_adapters.cli.main import COMMANDS, LazyGroup
from townlet_adapters.composition import load_config, open_outboxes
from townlet_adapters.config.footprint import check_inputs
from townlet_adapters.documents import Document
from townlet_adapters.running import open_simulation, run
from townlet_adapters.worlds.town.inputs.shipped import shipped_file
from townlet_core.errors import ConfigError
from townlet_plugins.access import Access, Allowed, Input

OLD = Path(__file__).resolve().parents[1] / "town" / "golden" / "hamlet-500-schema-1.json.gz"
"""A snapshot that can be migrated."""

HEAD = "townlet: 1\nseed: 7\n"


def refusal(call, *arguments) -> str:
    with pytest.raises(ConfigError) as caught:
        call(*arguments)
    return str(caught.value)


def outcome(config, allowed) -> str:
    """What is wrong with a config; nothing when it is valid."""
    try:
        load_config(config, (), allowed)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A config's folder beside folders that are not its own."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    for name in ("configs", "configs-private", "elsewhere"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    return tmp_path / "configs"


@pytest.mark.parametrize("name", ["TOWNLET_TOKEN", "TOWNLET_", "AWS_KEY"])
def test_variables_with_the_prefix_and_those_named_may_be_read(folder, monkeypatch, name):
    monkeypatch.setenv(name, "value")
    access = Access(folder, Allowed(env=("AWS_KEY",)))
    assert access.variable(name, "token_env") == "value"
    monkeypatch.delenv(name)
    assert access.variable(name, "token_env") is None
    assert access.inputs == (Input("variable", name),)


@pytest.mark.parametrize(
    "name", ["PATH", "TOWNLET", "townlet_token", "XTOWNLET_", "AWS_KEY_2", "AWS_KE", "aws_key"]
)
def test_no_other_variable_may_be_read_not_even_a_near_miss(folder, monkeypatch, name):
    access = Access(folder, Allowed(env=("AWS_KEY",)))
    for value in ("value", None):
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
        assert refusal(access.variable, name, "token_env") == (
            f"token_env: a config may not read the variable {name}; "
            f"variables named TOWNLET_*; to allow this one, add --allow-env {name}"
        )
    assert access.inputs == ()


def test_files_below_the_folder_may_be_read(folder):
    (folder / "deep").mkdir()
    (folder / "link").symlink_to("file")
    access = Access(folder)
    for name in ("file", "deep/none", "./file", "deep/../file", str(folder / "file"), "link", "..file"):
        assert access.file(name, "key") == (folder / ("file" if name == "link" else name)).resolve()
    assert access.inputs[0] == Input("file", str(folder / "file"))
    assert len(set(access.inputs)) == len(access.inputs)


@pytest.mark.parametrize(
    "name", ["../elsewhere/file", "../configs-private/file", "/etc/hostname", "out", "outer/file", ".."]
)
def test_no_file_outside_may_be_read_whatever_leads_there(folder, tmp_path, name):
    (folder / "out").symlink_to(tmp_path / "elsewhere" / "file")
    (folder / "outer").symlink_to("../elsewhere")
    access = Access(folder)
    real = (folder / name).resolve()
    assert refusal(access.file, name, "tls.ca_file") == (
        f"tls.ca_file: a config may not read '{name}', which is {real}; "
        f"files below its own folder, {folder}; to allow this one, add --allow-path {real.parent}"
    )
    assert access.inputs == ()


def test_a_folder_that_the_operator_allows_is_allowed_with_what_is_below_and_nothing_beside(folder, tmp_path):
    access = Access(folder, Allowed(path=(tmp_path / "elsewhere",)))
    (tmp_path / "elsewhere" / "out").symlink_to(tmp_path / "configs-private" / "file")
    assert access.file("../elsewhere/file", "key") == tmp_path / "elsewhere" / "file"
    for name in ("../configs-private/file", "../elsewhere-2/file", "../elsewhere/out"):
        assert "may not read" in refusal(access.file, name, "key")


def test_the_folder_of_the_config_may_itself_be_reached_by_a_link(folder, tmp_path):
    (tmp_path / "linked").symlink_to("configs")
    assert Access(tmp_path / "linked").file("file", "key") == folder / "file"


def test_the_credentials_of_a_service_count_as_allowed(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "elsewhere"))
    assert Access(folder).file("../elsewhere/file", "key") == tmp_path / "elsewhere" / "file"
    for other in ("", "elsewhere", "."):
        monkeypatch.setenv("CREDENTIALS_DIRECTORY", other)
        monkeypatch.chdir(tmp_path)
        assert "may not read" in refusal(Access(folder).file, "../elsewhere/file", "key")


def test_a_path_that_is_none_is_refused(folder):
    for name in ("a\0b", "a\ud800b"):
        assert "is not a path" in refusal(Access(folder).file, name, "key")
    for name in ("x" * 256, "x/" * 2100):
        assert "too long for the file system" in refusal(Access(folder).file, name, "key")
    (folder / "loop").symlink_to("loop")
    assert Access(folder).file("loop", "key")


TCP = "telemetry:\n  sinks:\n    - use: tcp\n      options:\n        endpoint: localhost:1\n        "
HTTP = "telemetry:\n  sinks:\n    - use: http\n      options:\n        url: https://localhost:1/\n        "
RENAME = (
    "telemetry:\n  sinks:\n    - use: file\n      transforms:\n        - use: rename_residents\n          "
)
TOWN = "world:\n  use: town\n  options:\n    "
OPTIONS = "telemetry.sinks[0].options"


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        (TCP + "token_env: OTHER\n", 8, f"{OPTIONS}.token_env"),
        (TCP + "token_file: ../elsewhere/file\n", 8, f"{OPTIONS}.token_file"),
        (HTTP + "secret_env: OTHER\n", 8, f"{OPTIONS}.secret_env"),
        (HTTP + "secret_file: ../elsewhere/file\n", 8, f"{OPTIONS}.secret_file"),
        (HTTP + "second_secret_env: OTHER\n", 8, f"{OPTIONS}.second_secret_env"),
        (HTTP + "second_secret_file: ../elsewhere/file\n", 8, f"{OPTIONS}.second_secret_file"),
        (HTTP + "tls: {ca_file: ../elsewhere/file}\n", 8, f"{OPTIONS}.tls.ca_file"),
        (HTTP + "tls: {crl_file: ../elsewhere/file}\n", 8, f"{OPTIONS}.tls.crl_file"),
        (TCP + "tls: {cert_file: ../elsewhere/file, key_file: k}\n", 8, f"{OPTIONS}.tls.cert_file"),
        (TCP + "tls: {cert_file: c, key_file: ../elsewhere/file}\n", 8, f"{OPTIONS}.tls.key_file"),
        (TCP.replace("localhost:1", '"${ENV:OTHER}.example:1"'), 7, f"{OPTIONS}.endpoint"),
        (HTTP.replace("localhost:1", "localhost:1/${ENV:OTHER}"), 7, f"{OPTIONS}.url"),
        (RENAME + "key_env: OTHER\n", 8, "telemetry.sinks[0].transforms[0].key_env"),
        (RENAME + "key_file: ../elsewhere/file\n", 8, "telemetry.sinks[0].transforms[0].key_file"),
        (TOWN + "town: ../elsewhere/file\n", 6, "world.options.town"),
        (
            TOWN + "town: {grid: {rows: 1, cols: 1, district: ../elsewhere/file}}\n",
            6,
            "world.options.town.grid.district",
        ),
        (TOWN + "affordances: {extend: ../elsewhere/file}\n", 6, "world.options.affordances.extend"),
    ],
    ids=lambda value: value if isinstance(value, str) and "\n" not in value else "",
)
def test_whatever_names_a_variable_or_a_file_is_refused_with_the_option_that_would_allow_it(
    folder, monkeypatch, text, line, key
):
    monkeypatch.setenv("OTHER", "0123456789abcdef01234567")
    config = folder / "a.yaml"
    config.write_text(HEAD + text)
    message = refusal(load_config, config)
    assert message.startswith(f"{config}:{line}: {key}: a config may not read ")
    assert "0123456789abcdef" not in message
    option, value = shlex.split(re.search(r"add (--allow-\w+ .*)$", message)[1])
    allowed = Allowed(env=(value,)) if option == "--allow-env" else Allowed(path=(Path(value),))
    assert "may not read" not in outcome(config, allowed)


def test_keys_of_plugins_that_name_a_variable_or_a_file_are_limited_as_well(folder):
    shown = {
        "policy": {"options": {"api_key_env": "OTHER", "deep": [{"model_file": "/etc/hostname"}]}},
        "telemetry": {},
        "observers": {
            "extra": [{"options": {"x_env": "TOWNLET_X", "env": "OTHER", "y_file": None, "n_env": 5}}]
        },
    }
    problems = refusal(check_inputs, Document(shown, "a.yaml"), shown, Access(folder)).splitlines()
    assert [line.partition(": a config")[0] for line in problems] == [
        "a.yaml: policy.options.api_key_env",
        "a.yaml: policy.options.deep[0].model_file",
    ]


def test_every_problem_of_one_config_is_reported_at_once(folder):
    (folder / "a.yaml").write_text(HEAD + TCP + "token_env: OTHER\n        tls: {ca_file: /etc/hostname}\n")
    assert len(refusal(load_config, folder / "a.yaml").splitlines()) == 2


def test_a_config_that_is_not_a_file_has_the_working_directory_as_its_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    config = {"townlet": 1, "seed": 7, "world": {"use": "town", "options": {"town": "../elsewhere/file"}}}
    message = refusal(load_config, config)
    assert f"add --allow-path {folder.parent / 'elsewhere'}" in message
    with pytest.raises(ConfigError, match="may not read"), open_simulation(config):
        pass
    # Allowed, it is read, and found not to be a map.
    with pytest.raises(ConfigError) as caught, open_simulation(config, allow_path=["../elsewhere"]):
        pass
    assert "may not read" not in str(caught.value)


def test_a_variable_is_allowed_from_python(monkeypatch, tmp_path):
    monkeypatch.setenv("OTHER", str(tmp_path / "events.ndjson"))
    sinks = [{"use": "file", "options": {"path": "${ENV:OTHER}"}}]
    config = {"townlet": 1, "seed": 7, "telemetry": {"sinks": sinks}}
    with pytest.raises(ConfigError, match="add --allow-env OTHER"), open_simulation(config):
        pass
    with pytest.raises(ConfigError, match="add --allow-env OTHER"):
        run(config, ticks=1)
    assert run(config, ticks=1, allow_env=["OTHER"]).ticks == 1
    assert (tmp_path / "events.ndjson").exists()


def test_an_override_is_limited_as_the_config_is(townlet, folder):
    (folder / "a.yaml").write_text(HEAD + "world: {use: town}\n")
    code, out, _ = townlet(
        "config", "check", str(folder / "a.yaml"), "--set", "world.options.town=../elsewhere/file"
    )
    assert code == 2
    assert out.startswith("--set: world.options.town: a config may not read '../elsewhere/file', which is ")


READING = [
    ("run", "{config}", "--ticks", "1", "--no-out", "--quiet"),
    ("config", "check", "{config}"),
    ("config", "show", "{config}"),
    ("config", "schema", "--config", "{config}"),
    ("schema", "events", "--config", "{config}"),
    ("plugins", "list", "--config", "{config}"),
    ("plugins", "verify", "{config}"),
    ("spool", "send", "{folder}", "{config}"),
    ("snapshot", "migrate", "{old}", "--config", "{config}"),
]


@pytest.mark.parametrize("arguments", READING, ids=lambda each: " ".join(each[:2]))
def test_every_command_that_reads_a_config_takes_the_option_that_its_refusal_names(
    townlet, folder, tmp_path, monkeypatch, arguments
):
    monkeypatch.setenv("OTHER", str(tmp_path / "events.ndjson"))
    (folder / "a.yaml").write_text(
        HEAD + "telemetry: {sinks: [{use: file, options: {path: '${ENV:OTHER}'}}]}\n"
    )
    (folder / "spool").mkdir()
    old = shutil.copy(OLD, tmp_path / "old.json.gz")
    given = [each.format(config=folder / "a.yaml", folder=folder / "spool", old=old) for each in arguments]
    code, out, err = townlet(*given)
    if arguments[0] != "spool":  # which finds no outboxes first
        assert code == 2
        assert (out + err).rstrip().endswith("to allow this one, add --allow-env OTHER")
    code, out, err = townlet(*given, "--allow-env", "OTHER", "--allow-path", str(tmp_path))
    assert code in {0, 2} if arguments[0] == "spool" else code == 0
    assert "may not read" not in out + err


def test_outboxes_are_sent_within_the_limits_of_their_config(folder, monkeypatch):
    monkeypatch.setenv("OTHER", "localhost")
    (folder / "a.yaml").write_text(HEAD + TCP.replace("localhost:1", "'${ENV:OTHER}:1'"))
    with pytest.raises(ConfigError, match="add --allow-env OTHER"), open_outboxes(folder / "a.yaml", []):
        pass
    with open_outboxes(folder / "a.yaml", [], allowed=Allowed(env=("OTHER",))) as sinks:
        assert sinks == {}


def leaves(command: click.Command, path: tuple[str, ...] = ()):
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from leaves(command.get_command(context, name), (*path, name))
    else:
        yield path, {parameter.name for parameter in command.params}


def test_no_command_that_reads_a_config_lacks_the_options():
    reading = {arguments[: 1 if arguments[0] == "run" else 2] for arguments in READING}
    found = dict(leaves(LazyGroup("townlet")))
    assert set(COMMANDS) == {path[0] for path in found}
    assert {path for path, names in found.items() if {"allow_env", "allow_path"} <= names} == reading
    assert {path for path, names in found.items() if {"config", "files", "file"} & names} - {
        ("snapshot", "inspect"),
        ("snapshot", "verify"),
    } == reading


@pytest.mark.parametrize("name", ["", " ", "TOWN*", "A?", "A=1"])
def test_a_pattern_is_not_the_name_of_a_variable(townlet, folder, name):
    (folder / "a.yaml").write_text(HEAD)
    code, _, err = townlet("config", "check", str(folder / "a.yaml"), "--allow-env", name)
    assert code == 2
    assert "patterns are not supported" in err


def test_a_folder_that_is_allowed_must_be_there(townlet, folder):
    (folder / "a.yaml").write_text(HEAD)
    code, _, err = townlet("config", "check", str(folder / "a.yaml"), "--allow-path", str(folder / "gone"))
    assert code == 2
    assert "does not exist" in err


def test_a_reference_to_the_environment_is_limited_before_it_is_looked_up(folder, monkeypatch):
    (folder / "a.yaml").write_text(HEAD + TCP.replace("localhost:1", "'${ENV:OTHER}:1'"))
    monkeypatch.delenv("OTHER", raising=False)
    unset = refusal(load_config, folder / "a.yaml")
    monkeypatch.setenv("OTHER", "localhost")
    assert refusal(load_config, folder / "a.yaml") == unset


PRIVATE = {
    "a token": "hunter2\n",
    "a key": "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2hunter2\n-----END OPENSSH PRIVATE KEY-----\n",
    "variables": "AWS_SECRET=hunter2\nexport B=hunter2\n",
    "a mapping": "user: hunter2\nid: [hunter2]\nlegend: hunter2\n",
    "a list": "- hunter2\n- {id: hunter2}\n",
    "an alias": "password: *hunter2\n",
    "an anchor": "password: &hunter2 x\n",
    "a tag": "password: !hunter2 x\n",
    "a number": "password: 1e999\nx: hunter2\n",
    "a broken text": 'password: "hunter2\n',
    "a tab": "a:\n\thunter2\n",
    "a percent sign": "a: %hunter2\n",
}


@pytest.mark.parametrize("content", PRIVATE.values(), ids=PRIVATE)
@pytest.mark.parametrize("option", ["town: private", "affordances: {extend: private}"])
def test_a_private_file_in_place_of_an_input_is_not_quoted(townlet, folder, content, option):
    (folder / "private").write_text(content)
    (folder / "a.yaml").write_text(HEAD + TOWN + option + "\n")
    code, out, err = townlet("config", "check", str(folder / "a.yaml"))
    assert (code, err) == (2, "")
    assert all(line.startswith(f"{folder / 'private'}:") for line in out.splitlines())
    for secret in ("hunter2", "1e999", "BEGIN"):
        assert secret not in out


def test_what_is_wrong_with_a_map_is_reported_by_its_kind(folder):
    original = shipped_file("hamlet_24").read_text()
    for value, kind in [("5", "a number"), ("true", "a truth value"), ("null", "null"), ("[]", "a list")]:
        (folder / "m.yaml").write_text(re.sub(r"(?m)^id: .*$", f"id: {value}", original))
        (folder / "a.yaml").write_text(HEAD + TOWN + "town: m.yaml\n")
        assert f": id: {kind}; text" in refusal(load_config, folder / "a.yaml")
    (folder / "m.yaml").write_text(re.sub(r"(?m)^agents: .*$", "agents: x", original))
    assert ": agents: text; a whole number" in refusal(load_config, folder / "a.yaml")
