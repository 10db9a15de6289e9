"""Names of splits, and text files that name the images of a split, one a line."""

from collections.abc import Collection, Sequence
from pathlib import Path

from uda_seg.data.files import load
from uda_seg.errors import DataError
from uda_seg.mistakes import suggest


def check_split(dataset: str, split: str, choices: Sequence[str]) -> None:
    """
    Raises:
        DataError: the dataset has no such split; tells which it has.
    """
    if split not in choices:
        hint = f"{suggest(split, choices)}choose from {', '.join(choices)}"
        raise DataError(f"{dataset} has no split {split!r}: {hint}")


def read_list(path: Path) -> list[str]:
    """Names without folder and ending, in the file's order.

    Only the first word of a line counts: many lists have the label's path behind the image's.

    Raises:
        DataError: it cannot be read, or names nothing.
    """
    try:
        text = load(path).tobytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text file ({error.reason})") from error
    words = [line.split()[0].replace("\\", "/") for line in text.splitlines() if line.split()]
    if not words:
        raise DataError(f"{path}: names no image; one a line is expected")
    return [Path(word).stem for word in words]


def pick(images: Sequence[Path], stems: Collection[str], source: Path) -> list[Path]:
    """The images of those names, in the order of `images`.

    Raises:
        DataError: some are not there; `source` is where the names come from.
    """
    wanted = set(stems)
    found = [image for image in images if image.stem in wanted]
    absent = sorted(wanted - {image.stem for image in found})
    if absent:
        some = ", ".join(absent[:3]) + (", …" if len(absent) > 3 else "")
        raise DataError(
            f"{source}: names {len(wanted)} images, of which {len(absent)} are not there ({some}); "
            "unpack all parts of the dataset, or mend the list"
        )
    return found


def add_to_list(path: Path, name: str) -> None:
    """Keeps the list sorted, each name once."""
    names = set(path.read_text("utf-8").split()) if path.is_file() else set()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(sorted(names | {name})) + "\n", "utf-8")
