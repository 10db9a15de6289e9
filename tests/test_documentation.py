"""What README and CONTRIBUTING say of the code, held against it."""

import re
import shlex
import sys
from pathlib import Path

import pytest
from PIL import Image
from prediction.tiny_run import CLASSES, picture, write_run

from uda_seg.cli import launch, main
from uda_seg.errors import UserError

ROOT = Path(__file__).parent.parent
ROOMS = ROOT / "src" / "uda_seg"


def listed() -> list[str]:
    """Folders in the map of the repository."""
    page = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = page.split("## A map of the repository")[1].split("\n## ")[0]
    return re.findall(r"^\| `([^`]+/)` \|", section, re.MULTILINE)


def test_the_map_lists_every_room_and_nothing_else() -> None:
    rooms = {p.parent for p in ROOMS.rglob("*.py") if p.stem != "__init__"} - {ROOMS}
    wanted = {f"{room.relative_to(ROOT).as_posix()}/" for room in rooms}
    assert wanted == {path for path in listed() if path.startswith("src/uda_seg/")} - {
        "src/uda_seg/"
    }
    assert len(listed()) == len(set(listed()))


def test_the_map_lists_every_folder_at_the_top() -> None:
    top = {path.partition("/")[0] for path in listed()}
    shown = {p.name for p in ROOT.iterdir() if p.is_dir() and not p.name.startswith(".")}
    assert top <= shown
    assert shown - top <= {"build", "dist", "site"}  # what tools leave here


def test_the_readmes_lines_of_python_run_as_they_stand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "outputs" / "RUN")
    Image.fromarray(picture(0)).save("street.jpg")
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out.strip() in CLASSES


def commands(page: Path) -> list[str]:
    """Lines that begin with `python -m uda_seg`, without their comments."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [
        shlex.split(line, comments=True)[3:]
        for line in re.findall(r"^python -m uda_seg.*$", text, re.MULTILINE)
        if "…" not in line
    ]
    return [shlex.join(words) for words in lines if not set("|<") & set("".join(words))]


def complaints(line: str) -> list[str]:
    try:
        main._main(shlex.split(line))
    except UserError as error:
        found = str(error).splitlines()
        return found[1:] or found
    return []


MISSING_HERE = "is not there|there is no such folder"
"""What a right command may be told where there are no runs and no datasets."""
PAGES = [
    ROOT / "README.md",
    *(
        pytest.param(page, marks=pytest.mark.slow)
        for page in sorted((ROOT / "docs").glob("*.md"))
        if commands(page)
    ),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_are_right(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "launch", lambda *_, **__: 0)
    for line in commands(page):
        monkeypatch.setattr(sys, "argv", ["uda-seg", *shlex.split(line)])
        wrong = [one for one in complaints(line) if not re.search(MISSING_HERE, one)]
        assert wrong == [], line
    assert len(commands(page)) > (15 if page.name == "README.md" else 0)
