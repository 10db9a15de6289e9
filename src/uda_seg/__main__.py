"""`python -m uda_seg [VERB] key=value …`; the verb is train when it is left out."""

import importlib
import sys
from pathlib import Path

from uda_seg.config import conf_folder


def main() -> None:
    import hydra
    from hydra.core.hydra_config import HydraConfig

    arguments = sys.argv[1:]
    verb = arguments.pop(0) if arguments and "=" not in arguments[0] and arguments[0][0] != "-" else "train"

    def job(config):
        command = importlib.import_module(f"uda_seg.commands.{verb}")
        return command.run(config, Path(HydraConfig.get().runtime.output_dir))

    sys.argv[1:] = arguments
    hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name=verb)(job)()


if __name__ == "__main__":
    main()
