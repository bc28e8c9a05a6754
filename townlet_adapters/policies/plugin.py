"""The built-in policies. Cheap to import: compiled code is imported only when a policy is built."""

from collections.abc import Sequence

from townlet_adapters.policies.scripted.options import ScriptedOptions
from townlet_adapters.validation import Section
from townlet_core.ports import PolicyPort
from townlet_plugins import hookimpl
from townlet_plugins.factory import BuildContext, Factory, PartFactory


class RandomOptions(Section):
    """The random policy has no options."""


def _build_scripted(options: ScriptedOptions, _context: BuildContext) -> PolicyPort:
    from townlet_adapters.policies.scripted.policy import ScriptedPolicy  # noqa: PLC0415 - imports numba

    return ScriptedPolicy(options)


def _build_random(_options: RandomOptions, _context: BuildContext) -> PolicyPort:
    from townlet_adapters.policies.random import RandomPolicy  # noqa: PLC0415 - imports numba

    return RandomPolicy()


@hookimpl
def townlet_policies() -> Sequence[PartFactory[PolicyPort]]:
    """Offer ``scripted`` and ``random``."""
    return (
        Factory(
            name="scripted",
            options=ScriptedOptions,
            build=_build_scripted,
            summary="residents plan: they care for their needs, work, shop and meet by fixed rules",
        ),
        Factory(
            name="random",
            options=RandomOptions,
            build=_build_random,
            summary="residents choose any allowed action, all equally likely",
        ),
    )
