"""Rigs that are taken apart whatever happens, and told from what was kept secret."""

import pytest

from tests.telemetry.hostile.rig import Rig, measure


@pytest.fixture
def make_rig(tmp_path, certificates, caplog):
    """Make a rig for a kind of sink."""
    rigs = []

    def make(kind):
        rigs.append(Rig(kind, tmp_path, certificates, caplog))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()
        rig.assert_no_secret()


@pytest.fixture(params=["tcp", "http"])
def rig(request, make_rig):
    """A rig for each kind of sink."""
    return make_rig(request.param)


@pytest.fixture(scope="session")
def measures(tmp_path_factory, certificates):
    """Bytes up and down, by kind, of a connection that delivers one event."""
    found = {}
    for kind in ("tcp", "http"):
        rig = Rig(kind, tmp_path_factory.mktemp(kind), certificates)
        try:
            found[kind] = measure(rig)
        finally:
            rig.close()
    return found
