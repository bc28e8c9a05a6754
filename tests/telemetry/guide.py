"""The consumer of state that the guide shows."""

import re
from pathlib import Path

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "consuming-state.md"
(CONSUMER,) = re.findall(
    r"^```python\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)
GIVEN = {"__name__": "consumer"}
exec(compile(CONSUMER, str(GUIDE), "exec"), GIVEN)  # noqa: S102 - the guide's own example is what is tested
merge, follow = GIVEN["merge"], GIVEN["follow"]
