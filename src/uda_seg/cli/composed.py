"""Configs put together by Hydra: composed once, with values set as Hydra sets them."""

import copy
import os
import pickle
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra._internal.config_repository import ConfigRepository
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobRuntime, configure_log, setup_globals
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from uda_seg.config import conf_folder

NAME = "uda_seg"
"""Of the job: `squeue` shows it."""


def compose(verb: str, overrides: Sequence[str], own_folder: Path | None) -> DictConfig:
    """The config of one job, with the `hydra` node.

    Args:
        verb: the command.
        overrides: in Hydra's grammar.
        own_folder: YAML files of the user's own.

    Raises:
        HydraException, and more: see `uda_seg.runs.yaml_errors.RAISED`.
    """
    if own_folder is not None:  # whose files may change meanwhile
        return _composed(verb, overrides, own_folder)
    config: DictConfig = pickle.loads(_composed_of_ours(verb, tuple(overrides)))
    config.hydra.runtime.cwd = os.getcwd()
    return config


@lru_cache(maxsize=256)
def _composed_of_ours(verb: str, overrides: tuple[str, ...]) -> bytes:
    """Pickled: reading that takes a hundredth of composing it again."""
    return pickle.dumps(_composed(verb, overrides, None), -1)


def _composed(verb: str, overrides: Sequence[str], own_folder: Path | None) -> DictConfig:
    loader = loader_of(own_folder)
    return loader.load_configuration(verb, list(overrides), RunMode.RUN, from_shell=False)


def with_values(config: DictConfig, values: Sequence[Override]) -> DictConfig:
    """A copy of a composed config in which Hydra has set further keys.

    Args:
        config: with the `hydra` node.
        values: overrides of keys, not of groups.
    """
    # OmegaConf's own way of copying takes three times as long.
    changed: DictConfig = pickle.loads(pickle.dumps(config, -1))
    ConfigLoaderImpl._apply_overrides_to_config(list(values), changed)
    given, job = changed.hydra.overrides, changed.hydra.job
    for override in values:
        (given.hydra if override.is_hydra_override() else given.task).append(override.input_line)
    lines: Any = OmegaConf.to_container(given.task)
    every = OverridesParser.create().parse_overrides(lines)
    job.override_dirname = get_overrides_dirname(every, **job.config.override_dirname)
    return changed


class CheckedHydra(Hydra):
    """Hydra for the command line that a config was composed from and checked with.

    It is handed that config where it would compose it once more; the jobs of a sweep it composes.
    """

    def __init__(self, config: DictConfig, own_folder: Path | None) -> None:
        super().__init__(NAME, loader_of(own_folder))
        self.checked = config

    def compose_config(  # type: ignore[override]
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        with_log_configuration: bool = False,
        **options: Any,
    ) -> DictConfig:
        if run_mode is RunMode.MULTIRUN:
            options["with_log_configuration"] = with_log_configuration
            return super().compose_config(config_name, overrides, run_mode, **options)
        if with_log_configuration:
            configure_log(self.checked.hydra.hydra_logging, self.checked.hydra.verbose)
        return self.checked


def loader_of(own_folder: Path | None) -> ConfigLoaderImpl:
    """Hydra's loader of configs, for the shipped YAML files and after them the user's own."""
    version.setbase("1.3")
    setup_globals()
    JobRuntime.instance().set("name", NAME)
    path = create_config_search_path(str(conf_folder()))
    if own_folder is not None:
        place = f"file://{own_folder.absolute()}"
        path.prepend("command-line", place, SearchPathQuery(provider="schema"))
    loader = ConfigLoaderImpl(path)
    loader.repository = _Repository(path)
    return loader


class _Repository(ConfigRepository):
    """Hydra's, which reads no file of a folder twice."""

    def initialize_sources(self, config_search_path: Any) -> None:
        super().initialize_sources(config_search_path)
        self.sources = [
            _Folder(source.provider, source.path) if source.scheme() == "file" else source
            for source in self.sources
        ]

    def __deepcopy__(self, _: Any) -> "_Repository":
        return copy.copy(self)  # Hydra copies it to give the copy other sources, all of them


class _Folder(FileConfigSource):
    """YAML files, each read once a process: an experiment is composed twice, a sweep many times."""

    def load_config(self, config_path: str) -> ConfigResult:
        path = Path(self.path, self._normalize_file_name(config_path))
        key = (path, path.stat().st_mtime_ns, path.stat().st_size)
        if key not in _read:
            _read[key] = pickle.dumps(super().load_config(config_path), -1)
        result: ConfigResult = pickle.loads(_read[key])
        return result


_read: dict[tuple[Path, int, int], bytes] = {}
