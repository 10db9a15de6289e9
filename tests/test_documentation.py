"""What README and CONTRIBUTING say of the code, held against it."""

import re
from pathlib import Path

import pytest
from PIL import Image
from prediction.tiny_run import CLASSES, picture, write_run

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
