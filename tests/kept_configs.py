"""What Hydra reads and merges is kept for all tests: composing configs is half of what they cost.

No test changes the shipped YAML files.
"""

import functools
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins

from uda_seg.config import conf_folder

KEPT: dict[Any, bytes] = {}
"""Emptied by a test that changes what Hydra has in store."""
SHIPPED = f"file://{conf_folder()}"


def kept(key: Any, make: Callable[[], Any]) -> Any:
    """A copy of what `make` returned the first time."""
    if key not in KEPT:
        KEPT[key] = pickle.dumps(make(), -1)
    return pickle.loads(KEPT[key])


def searched(repository: Any) -> tuple[Any, ...]:
    """Where a repository looks, and what it finds in a user's own folder."""
    places = [f"{source.scheme()}://{source.path}" for source in repository.get_sources()]
    own = [Path(place[7:]) for place in places if place.startswith("file://") and place != SHIPPED]
    files = [path for folder in own for path in sorted(folder.rglob("*.yaml"))]
    return (*places, *((str(path), path.read_bytes()) for path in files))


@pytest.fixture(autouse=True, scope="session")
def _configs_are_kept() -> Iterator[None]:
    Plugins.instance()  # imports Hydra's modules once more
    from hydra._internal import config_loader_impl, defaults_list
    from hydra._internal.core_plugins import importlib_resources_config_source
    from omegaconf import _utils, base

    with pytest.MonkeyPatch.context() as patch:
        for module in (base, _utils):  # what interpolations mean
            patch.setattr(module, "parse", functools.cache(module.parse))
        # Every composition copies it, and none changes it.
        patch.setattr(ConfigStore, "__deepcopy__", lambda store, _: store, raising=False)
        _keep_files(patch, importlib_resources_config_source.ImportlibResourcesConfigSource)
        _keep_defaults(patch, defaults_list)
        _keep_merged(patch, config_loader_impl.ConfigLoaderImpl)
        yield


def _keep_files(patch: pytest.MonkeyPatch, source: Any) -> None:
    """Hydra's own; the reader of shipped files keeps what it has read."""
    read = source.load_config

    def load_config(self: Any, config_path: str) -> Any:
        if self.path != "hydra.conf":
            return read(self, config_path)
        return kept(("file", self.provider, config_path), lambda: read(self, config_path))

    patch.setattr(source, "load_config", load_config)


def _keep_defaults(patch: pytest.MonkeyPatch, module: Any) -> None:
    """Which files a command line chooses; the choices made on the way are noted in `overrides`."""
    make = module._create_defaults_list

    def create(repo: Any, config_name: Any, overrides: Any, **options: Any) -> Any:
        given = vars(overrides).pop("config_overrides")
        key = ("defaults", searched(repo), config_name, repr(vars(overrides)), *options.values())

        def anew() -> Any:
            defaults, _ = make(repo, config_name, overrides, **options)
            return defaults, vars(overrides)

        defaults, state = kept(key, anew)
        vars(overrides).update(state, config_overrides=given)
        return defaults, None

    patch.setattr(module, "_create_defaults_list", create)
    table = module._create_interpolation_map

    def names(overrides: Any, defaults: Any, self_added: bool) -> Any:
        """Of choices, for files that are chosen by them: rare, and slow to make."""
        return table(overrides, defaults, self_added) if "${" in repr(defaults) else None

    patch.setattr(module, "_create_interpolation_map", names)


def _keep_merged(patch: pytest.MonkeyPatch, loader: Any) -> None:
    load, merge = loader._load_single_config, loader._compose_config_from_defaults_list

    def load_single(self: Any, default: Any, repo: Any) -> Any:
        places = {f"{source.scheme()}://{source.path}" for source in repo.get_sources()}
        if any(place.startswith("file://") for place in places - {SHIPPED}):
            return load(self, default, repo)
        return kept(("single", repr(default)), lambda: load(self, default, repo))

    def compose(self: Any, defaults: Any, repo: Any) -> Any:
        return kept(("merged", searched(repo), repr(defaults)), lambda: merge(self, defaults, repo))

    patch.setattr(loader, "_load_single_config", load_single)
    patch.setattr(loader, "_compose_config_from_defaults_list", compose)
