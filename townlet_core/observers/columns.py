"""Columns of an observation's features, by name."""

from townlet_core.dto.observation import ObservationBatch
from townlet_core.dto.spec import WorldSpec


class FeatureColumns:
    """Reads columns of ``ObservationBatch.features``.

    One flat view is made per buffer and kept while the world reuses it. A column is a strided slice of it,
    which costs a tenth of indexing resident by resident.
    """

    def __init__(self, spec: WorldSpec) -> None:
        """Number the columns of a world."""
        self._numbers = {name: number for number, name in enumerate(spec.feature_names)}
        self._width = len(spec.feature_names)
        self._seen: memoryview | None = None
        self._flat = memoryview(b"").cast("f")

    def find(self, *names: str) -> tuple[str, ...]:
        """Return the names when the world has every one of these columns, otherwise nothing."""
        return names if all(name in self._numbers for name in names) else ()

    def named(self, prefix: str) -> tuple[str, ...]:
        """List the columns with a prefix, in order."""
        return tuple(name for name in self._numbers if name.startswith(prefix))

    def read(self, observation: ObservationBatch, name: str) -> "memoryview[float]":
        """Return one column, float32[N] with a stride; valid until the world's next step."""
        if observation.features is not self._seen:
            self._seen = observation.features
            self._flat = observation.features.cast("B").cast("f")
        return self._flat[self._numbers[name] :: self._width]
