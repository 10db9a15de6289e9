"""Write one HTML page about any runs: table, curves, pictures, confusions, costs."""

import shlex
import sys
from pathlib import Path
from typing import Any

from uda_seg.errors import ConfigError
from uda_seg.report.page import Choices
from uda_seg.report.published_curves import read_published
from uda_seg.report.rows import ROLES
from uda_seg.report.several import write_report


def run(config: dict[str, Any], folder: Path) -> None:
    runs = config["runs"] if isinstance(config["runs"], list) else [config["runs"]]
    if not runs:
        raise ConfigError("runs=[]: give run folders, or folders that hold some")
    output = Path(config["output"])
    if output.is_dir():
        raise ConfigError(f"output={output}: is a folder; give a file, like {output}/report.html")
    published = read_published(config["published"]) if config["published"] else ()
    choices = Choices(config["selection"], config["against"], published)
    words = [word for word in sys.argv[1:] if not word.startswith("hydra.")]
    said = write_report(
        output,
        runs,
        {role: config[role] for role in ROLES},
        choices,
        config["title"],
        shlex.join(["python", "-m", "uda_seg", *words]),
    )
    print(f"{said}; page: {output} ({output.stat().st_size / 1e6:.1f} MB)")
