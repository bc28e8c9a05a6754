"""The built-in stages. Cheap to import: numpy is imported only when a stage is built."""

from collections.abc import Sequence

from townlet_adapters.stages.options import GuardrailOptions, PossessionOptions
from townlet_core.ports import ActionStage
from townlet_plugins import hookimpl
from townlet_plugins.factory import BuildContext, Factory, PartFactory


def _build_guardrail(options: GuardrailOptions, _context: BuildContext) -> ActionStage:
    from townlet_adapters.stages.guardrail import GuardrailStage  # noqa: PLC0415 - imports numpy

    return GuardrailStage(options)


def _build_possession(options: PossessionOptions, _context: BuildContext) -> ActionStage:
    from townlet_adapters.stages.possession import PossessionStage  # noqa: PLC0415 - imports numpy

    return PossessionStage(options)


@hookimpl
def townlet_stages() -> Sequence[PartFactory[ActionStage]]:
    """Offer ``guardrail`` and ``possession``."""
    return (
        Factory(
            name="guardrail",
            options=GuardrailOptions,
            build=_build_guardrail,
            summary="agents do not address those they avoid, nor queue where these are",
        ),
        Factory(
            name="possession",
            options=PossessionOptions,
            build=_build_possession,
            summary="a person acts for an agent: commands `possess` and `act`",
        ),
    )
