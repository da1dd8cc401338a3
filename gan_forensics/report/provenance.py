"""Which code, libraries and machine a number comes from."""

import os
import platform
import subprocess
from pathlib import Path


def provenance() -> dict[str, str | None]:
    """Version, commit, JAX and hardware, for the protocol of a result."""
    import jax

    from gan_forensics import __version__

    return {
        "gan_forensics": __version__,
        "commit": commit(),
        "jax": jax.__version__,
        "hardware": f"{jax.device_count()} x {jax.devices()[0].device_kind}, {os.cpu_count()} CPU "
        f"cores, {platform.system()} {platform.machine()}",
    }


def commit() -> str | None:
    """The commit that this package is checked out at, "-dirty" if changed; None elsewhere."""
    folder = Path(__file__).parent
    try:
        # An installed copy may lie in the repository of something else, which does not track it.
        for command in (
            ("ls-files", "--error-unmatch", Path(__file__).name),
            ("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"),
        ):
            result = subprocess.run(
                ["git", "-C", str(folder), *command],
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                timeout=20,
                check=True,
            )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()
