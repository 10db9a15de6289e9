"""Hydra's own grid, which goes on when jobs fail."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore

from .patience import FaultTolerantLauncher


@dataclass
class Grid:
    """Takes the place of Hydra's own, whose modules are read first; a YAML of that name could not.

    Attributes: see `GridSweeper`.
    """

    _target_: str = "hydra_plugins.uda_seg_sweeps.grid.GridSweeper"
    max_batch_size: int | None = None
    params: dict[str, str] | None = None
    published: Any = None


ConfigStore.instance().store(group="hydra/sweeper", name="basic", node=Grid, provider="uda_seg")


class GridSweeper(BasicSweeper):
    """
    Args:
        max_batch_size: jobs handed to the launcher at a time; None: all.
        params: key to its values, `a,b,c`; what the command line gives wins.
        published: published tables whose curves are drawn beside the sweep's.
    """

    def __init__(
        self,
        max_batch_size: int | None,
        params: dict[str, str] | None,
        published: str | list[str] | None,
    ) -> None:
        super().__init__(max_batch_size, dict(params or {}))
        self.published = published

    def setup(self, **keywords: Any) -> None:
        super().setup(**keywords)
        assert self.launcher is not None
        assert self.config is not None
        self.launcher = FaultTolerantLauncher(self.launcher, str(self.config.hydra.sweep.dir))

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        """The command line was checked before; Hydra would compose every job once more for it."""
