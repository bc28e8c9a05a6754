"""The reason why a command cannot be translated to interventions."""

from townlet_core.dto.command import ErrorCode


class WrongError(Exception):
    """A command requests something impossible. Never leaves the modules that translate commands."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(message)
