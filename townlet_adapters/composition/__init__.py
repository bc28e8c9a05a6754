"""The one composition root: builds a simulation from a config and closes it again."""

from townlet_adapters.composition.build import OpenRun, check_config, open_run
from townlet_adapters.composition.compiling import COMPILING, compile_shipped, live_briefly
from townlet_adapters.composition.loading import load_config
from townlet_adapters.composition.request import Output, RunRequest
from townlet_adapters.composition.resend import open_outboxes

__all__ = [
    "COMPILING",
    "OpenRun",
    "Output",
    "RunRequest",
    "check_config",
    "compile_shipped",
    "live_briefly",
    "load_config",
    "open_outboxes",
    "open_run",
]
