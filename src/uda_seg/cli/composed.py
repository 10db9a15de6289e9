"""Configs put together by Hydra: composed once, with values set as Hydra sets them."""

import os
import pickle
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml
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
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf._utils import get_yaml_loader

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
    config: DictConfig = pickle.loads(
        _composed(verb, tuple(overrides), own_folder, _state_of(own_folder))
    )
    config.hydra.runtime.cwd = os.getcwd()
    return config


@lru_cache(maxsize=256)
def _composed(verb: str, overrides: tuple[str, ...], own_folder: Path | None, _: Any) -> bytes:
    """Pickled: reading that takes a hundredth of composing it again."""
    loader = loader_of(own_folder)
    config = loader.load_configuration(verb, list(overrides), RunMode.RUN, from_shell=False)
    return pickle.dumps(config, -1)


def with_values(config: DictConfig, values: Sequence[Override]) -> DictConfig:
    """A copy of a composed config in which Hydra has set further keys.

    Args:
        config: with the `hydra` node.
        values: overrides of keys, not of groups.
    """
    copy = _copy(config)
    ConfigLoaderImpl._apply_overrides_to_config(list(values), copy)
    given, job = copy.hydra.overrides, copy.hydra.job
    for override in values:
        (given.hydra if override.is_hydra_override() else given.task).append(override.input_line)
    lines: Any = OmegaConf.to_container(given.task)
    every = OverridesParser.create().parse_overrides(lines)
    job.override_dirname = get_overrides_dirname(every, **job.config.override_dirname)
    return copy


def without_hydra(config: DictConfig) -> DictConfig:
    """A copy without that node."""
    copy = _copy(config)
    with open_dict(copy):
        copy.pop("hydra", None)
    return copy


def _copy(config: DictConfig) -> DictConfig:
    """OmegaConf's own way of copying takes three times as long."""
    copy: DictConfig = pickle.loads(pickle.dumps(config, -1))
    return copy


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
    """Hydra's, with another reader of folders."""

    def initialize_sources(self, config_search_path: Any) -> None:
        super().initialize_sources(config_search_path)
        self.sources = [
            _Folder(source.provider, source.path) if source.scheme() == "file" else source
            for source in self.sources
        ]


class _Folder(FileConfigSource):
    """YAML files, each read once a process, and with libyaml, which is ten times as fast."""

    def load_config(self, config_path: str) -> ConfigResult:
        path = Path(self.path, self._normalize_file_name(config_path))
        stat = path.stat()
        read = _read(path, stat.st_mtime_ns, stat.st_size)
        if read is None:
            return super().load_config(config_path)
        header, content = pickle.loads(read)
        return ConfigResult(self.provider, f"file://{self.path}", content, header)


@lru_cache(maxsize=512)
def _read(path: Path, *_: int) -> bytes | None:
    """The header and the content of a file, pickled; None where Hydra's own errors say more."""
    try:
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, _yaml_loader())
    except (ValueError, yaml.YAMLError):
        return None
    if not isinstance(content, dict):
        return None
    return pickle.dumps((_Folder._get_header_dict(text[:512]), OmegaConf.create(content)), -1)


@lru_cache(maxsize=1)
def _yaml_loader() -> Any:
    """OmegaConf's own with libyaml's parser below it, where PyYAML was built with that."""
    reader: Any = get_yaml_loader()
    if not hasattr(yaml, "CSafeLoader"):
        return reader

    class Loader(yaml.cyaml.CParser, reader):  # type: ignore[misc]
        def __init__(self, stream: Any) -> None:
            yaml.cyaml.CParser.__init__(self, stream)
            yaml.constructor.SafeConstructor.__init__(self)
            yaml.resolver.Resolver.__init__(self)

    return Loader


def _state_of(folder: Path | None) -> tuple[Any, ...]:
    """Of the YAML files in a folder: changes when one of them does."""
    levels = () if folder is None else ("*", "*/*", "hydra/*/*")
    paths = sorted(path for level in levels for path in Path(folder or "").glob(f"{level}.yaml"))
    files = [(str(path), path.stat()) for path in paths if path.is_file()]
    return tuple((path, stat.st_mtime_ns, stat.st_size) for path, stat in files)
