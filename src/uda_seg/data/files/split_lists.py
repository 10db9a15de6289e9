"""Names of splits, and text files that name the images of a split, one a line."""

from collections.abc import Collection, Sequence
from pathlib import Path

from uda_seg.data.files.reading import load
from uda_seg.errors import DataError, suggest


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
    return [Path(line.split()[0].replace("\\", "/")).stem for _, line in read_lines(path)]


def read_lines(path: Path) -> list[tuple[int, str]]:
    """Numbers and texts of a list's lines; empty ones, and comments behind `#`, are left out.

    Raises:
        DataError: it cannot be read, or names nothing.
    """
    code = load(path).tobytes()
    encoding = "utf-16" if code[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = code.decode(encoding)
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is no text file in UTF-8 ({error.reason})") from error
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not lines:
        raise DataError(f"{path}: names no image; one a line is expected")
    return lines


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
