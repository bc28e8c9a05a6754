"""The outside: the town, policies, telemetry, config and the command line."""

from townlet_adapters.workdir import leave_working_directory

leave_working_directory()

from townlet_adapters.guards import close_side_doors  # noqa: E402 - found without the working directory

close_side_doors()
