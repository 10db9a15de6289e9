"""Two processes learn what one learns that sees the whole batch: every method."""

from pathlib import Path

import pytest
from conftest import compose
from test_runs import as_good_as_equal, in_two_processes, run

from uda_seg.config import conf_folder

ELSEWHERE = {"adaptseg", "cbst", "crst", "daformer", "dacs", "hrda", "mic", "vfm_uda"}
"""Methods of test_runs.py, test_rounds.py, test_self_training.py and test_mic_run.py."""
METHODS = sorted(
    name
    for path in Path(conf_folder(), "method").glob("*.yaml")
    if not (name := path.stem).endswith(("_tuned", "_depth")) and name not in ELSEWHERE
)
SMALL = [
    "backbone=tiny", "source=toytown", "target=toytown_camera", "logger=none",
    "source.size=[32,64]", "target.size=[32,64]", "source.length={train: 8, val: 2}",
    "target.length={train: 8, val: 2}", "trainer.workers=0", "trainer.panels=0",
    "trainer.progress=false", "trainer.steps=4", "trainer.validate_every=4",
]  # fmt: skip
ROUNDS = ["superpixels.segments=16", "method.cluster_count=8", "method.first_round=0.5"]
NARROW = {
    "gio_ada": [
        "method.translator.width=4", "method.translator.blocks=1",
        "method.image_discriminator.width=4", "method.output_discriminator.width=4",
    ],
    "mrm": ["rare_classes=null", "method.base.lambda_feature_distance=null"],
    "rpt": ROUNDS,
    "rpt_plain": ROUNDS,
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_two_processes_equal_one(method: str, tmp_path: Path) -> None:
    """Where nothing depends on how a batch is cut, see `test_runs.test_two_processes_equal_one`."""
    words = [*SMALL, f"method={method}", *NARROW.get(method, []), "backbone.batch_norm=frozen"]
    players = compose("train", words)["method"]["optimizers"]
    words += [f"+method.optimizers.{player}.eps=1e-4" for player in players]
    words += ["+backbone.optimizer.eps=1e-4"]
    one = run(tmp_path / "one", [*words, "trainer=cpu", "trainer.batch_size=4"])
    ranks = ["trainer=ddp", "trainer.accelerator=cpu", "trainer.devices=2", "trainer.batch_size=2"]
    two = in_two_processes(tmp_path / "two", [*words, *ranks])
    for state in (one, two):  # what rounds decide, which has a test of its own
        state["state_dict"].pop("method._extra_state", None)
    as_good_as_equal(one, two)
