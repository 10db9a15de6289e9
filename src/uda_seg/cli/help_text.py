"""The answers of `--help`: read off the YAML and source files, so nothing heavy is imported."""

import ast
import functools
import re
from collections.abc import Sequence
from pathlib import Path

import yaml

from uda_seg.config import conf_folder, read_yaml
from uda_seg.errors import ConfigError, suggest

EXAMPLES = """\
  python -m uda_seg                                              adaptseg on drawn streets
  python -m uda_seg method=source_only trainer=gpu seed=1        change groups and keys
  python -m uda_seg method=mic method@method.base=adaptseg       MIC on top of another method
  python -m uda_seg source=gta5 target=cityscapes target.root=/data/cityscapes
  python -m uda_seg source=[gta5,synthia] target=idd_lite        several datasets as one
  python -m uda_seg data check source=gta5 target=cityscapes     every mistake in the files
  python -m uda_seg data prepare superpixels target=cityscapes   once, before method=rpt
  python -m uda_seg -m method.lambda_adv=0.0005,0.001,0.004      one run for each value
  python -m uda_seg sweep=lambda_adv seed=0,1,2                  a ready sweep, the paper's beside
  python -m uda_seg resume=auto                                  continue after a stop
  python -m uda_seg evaluate checkpoint=outputs/RUN/DATE         score a run again
  python -m uda_seg method=adaptseg --cfg job                    show all keys, run nothing"""

WORDS = 3
"""A verb has at most."""

OPTIONS = """\
  -m, --multirun      one run for each of the values given as a,b,c or range(1,4)
  --cfg job           print the config that would be used, and run nothing
  --config-dir DIR    a folder with YAML files of your own, beside the shipped ones
  -h, --help          this text; VERB --help for the keys of a verb
  --version           the version"""


@functools.cache
def verbs() -> dict[str, str]:
    """Names of the commands, with the first line of their docstrings; train comes first."""
    found = {}
    for path in sorted((Path(__file__).parents[1] / "commands").glob("*.py")):
        if (conf_folder() / f"{path.stem}.yaml").is_file():
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            found[path.stem] = text.partition("\n")[0]
    return {name: found[name] for name in sorted(found, key=lambda name: (name != "train", name))}


def verb_of(words: list[str]) -> str:
    """Takes the verb off the front of a command line: one word or more, such as `data check`.

    Raises:
        ConfigError: there is no such verb.
    """
    said = [word for word in words[:WORDS] if re.fullmatch(r"[a-z]+", word)]
    for count in range(len(said), 0, -1):
        if words[:count] == said[:count] and "_".join(said[:count]) in verbs():
            del words[:count]
            _check_end("_".join(said[:count]), words)
            return "_".join(said[:count])
    first = words[0]
    longer = [name for name in verbs() if name.startswith(f"{first}_")]
    if not longer:
        raise _unknown_verb(first)
    given = " ".join(words[:2])
    raise ConfigError(f"{given}: {first} needs a second word, one of:{_listed(longer)}")


def _check_end(verb: str, rest: list[str]) -> None:
    """A word after a verb that others begin with is one that was meant as theirs."""
    longer = [name for name in verbs() if name.startswith(f"{verb}_")]
    if longer and rest and re.fullmatch(r"\w+", rest[0]):
        given = f"{spoken(verb)} {rest[0]}"
        hint = suggest(given, map(spoken, longer))
        raise ConfigError(f"{given}: unknown verb, {hint}there are:{_listed([verb, *longer])}")


def _listed(names: list[str]) -> str:
    return "".join(f"\n  {spoken(name)}: {verbs()[name]}" for name in names)


def spoken(verb: str) -> str:
    """As it is written on the command line."""
    return verb.replace("_", " ")


def choices(folders: list[Path]) -> dict[str, list[str]]:
    """Groups and what there is to choose: the file names below the config folders."""
    found: dict[str, set[str]] = {}
    for folder in folders:
        for path in folder.glob("*/*.yaml"):
            if path.parent.name != "hydra":
                found.setdefault(path.parent.name, set()).add(path.stem)
    return {group: sorted(found[group]) for group in sorted(found)}


def groups_of(verb: str) -> dict[str, str | None]:
    """Groups in a verb's defaults list, in its order, with the default choice as it is written."""
    text = (conf_folder() / f"{verb}.yaml").read_text(encoding="utf-8")
    defaults = re.search(r"^defaults:.*\n((?:[ -].*\n)*)", text, re.MULTILINE)
    entries = re.findall(r"- (?:optional )?(\w+): *(\S+)", defaults[1]) if defaults else []
    return {group: None if choice == "null" else choice for group, choice in entries}


def overview(own: Sequence[Path] = ()) -> str:
    """Of `--help` alone; `own`: folders with YAML files of the user's."""
    width = max(map(len, verbs()))
    commands = "\n".join(f"  {spoken(name):<{width}}  {text}" for name, text in verbs().items())
    return (
        "usage: python -m uda_seg [VERB] [key=value ...]        (or: uda-seg ...)\n\n"
        f"verbs (train when left out):\n{commands}\n\n"
        f"examples:\n{EXAMPLES}\n\n"
        f"groups of train, key=choice (* marks the default):\n{_groups('train', own)}\n\n"
        f"keys of train:\n{_keys(conf_folder() / 'train.yaml')}\n\n"
        f"{_keys_below('train')}"
        f"options:\n{OPTIONS}"
    )


def of_verb(verb: str, own: Sequence[Path] = ()) -> str:
    parts = [
        f"usage: python -m uda_seg {spoken(verb)} [key=value ...]\n\n{verbs()[verb]}",
        f"keys:\n{_keys(conf_folder() / f'{verb}.yaml')}",
    ]
    if groups_of(verb):
        parts.insert(1, f"groups, key=choice (* marks the default):\n{_groups(verb, own)}")
    if "method" in groups_of(verb):
        parts.append(f"variants of methods:\n{_variants(own)}")
    return "\n\n".join([*parts, f"{_keys_below(verb)}options:\n{OPTIONS}"])


def _unknown_verb(word: str) -> ConfigError:
    known = [spoken(name) for name in verbs()]
    return ConfigError(
        f"{word}: unknown verb, {suggest(word, known)}choose from {', '.join(known)}, "
        "and write settings as key=value; --help shows both"
    )


def _groups(verb: str, own: Sequence[Path]) -> str:
    lines = []
    for group, default in groups_of(verb).items():
        usual = re.findall(r"\w+", default or "")
        names = choices([conf_folder(), *own]).get(group, [])
        marked = " ".join(f"{name}*" if name in usual else name for name in names)
        lines.append(f"  {group:<11} {marked or '(none yet)'}")
    return "\n".join(lines)


def variants_of(file: Path) -> dict[str, tuple[str, ...]]:
    """The rows that `_variants_` of a method's YAML names, and the overrides that make them."""
    try:
        node = read_yaml(file)
    except (yaml.YAMLError, ValueError):  # what is wrong with it is told when it is chosen
        return {}
    rows = node.get("_variants_", {}) if isinstance(node, dict) else {}
    return {name: tuple(text.split()) for name, text in rows.items()}


def _variants(own: Sequence[Path]) -> str:
    files = [
        file for folder in (conf_folder(), *own) for file in sorted(folder.glob("method/*.yaml"))
    ]
    return "\n".join(
        f"  {' '.join([f'method={file.stem}', *overrides])} # {name}"
        for file in files
        for name, overrides in variants_of(file).items()
    )


def _keys_below(verb: str) -> str:
    """Keys that a verb takes from other files: the trainer, superpixels, inference."""
    files = {}
    if "trainer" in groups_of(verb):
        files["trainer"] = conf_folder() / "trainer" / "auto.yaml"
    text = (conf_folder() / f"{verb}.yaml").read_text(encoding="utf-8")
    for name in ("superpixels", "inference", "inference_of_run"):
        if f"\n  - {name}\n" in text:
            files[name.partition("_")[0]] = conf_folder() / f"{name}.yaml"
    return "".join(
        f"keys below {name}:\n{_keys(path, f'{name}.')}\n\n" for name, path in files.items()
    )


def _keys(path: Path, prefix: str = "") -> str:
    """Keys of the file's outermost level that carry a comment, with their defaults."""
    pattern = re.compile(r"^(\w+): *(.*?) *# (.*)$", re.MULTILINE)
    found = pattern.findall(path.read_text(encoding="utf-8"))
    width = max((len(prefix + key) for key, _, _ in found), default=0)
    rows = []
    for key, value, text in found:
        shown = "" if "${" in value or not value else f" [{value}]"
        rows.append(f"  {prefix + key:<{width}}  {text}{shown}")
    return "\n".join(rows)
