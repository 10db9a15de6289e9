"""MIC trains exactly as the published algorithm, on hosts with a teacher and without."""

from copy import deepcopy
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import compose, make_batch
from test_adaptsegnet import STEPS, TOTAL, WEIGHTS, train
from test_all_methods import BASES, TINY, make, method_config
from test_dacs import choose, close, move, sgd

from uda_seg.batch import IGNORE, Batch
from uda_seg.config import build, needed_by
from uda_seg.errors import ConfigError
from uda_seg.evaluation.scores import method_facts
from uda_seg.methods.source_only import TargetOnly
from uda_seg.training.optimization import seed_step

pytestmark = [
    pytest.mark.filterwarnings("ignore:You defined a `validation_step`"),
    pytest.mark.filterwarnings("ignore:Found .* in eval mode"),  # the teacher, but for batch norm
]
SURE = 0.3
"""An untrained network of four classes is not sure of anything: some pixels are, others are not."""
BLOCK = 16


def on(base: str, *more: str) -> tuple[str, tuple[str, ...]]:
    return "mic", (f"method@method.base={base}", f"method.block={BLOCK}", *more)


def pseudo(teacher: Any, image: torch.Tensor) -> tuple[torch.Tensor, float]:
    with torch.no_grad():
        confidence, label = teacher(image).logits.softmax(1).max(1)
    share = int((confidence >= SURE).sum()) / confidence.numel()
    assert 0 < share < 1, "a test of nothing"
    return label, share


def per_pixel(logits: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(logits, label, ignore_index=IGNORE, reduction="none")


def masked_loss(
    network: Any, image: torch.Tensor, label: torch.Tensor, weight: Any, augment: Any
) -> torch.Tensor:
    """methods_modern 8: jitter and blur, then blocks of the normalised image are set to zero."""
    image = augment(image, together=True)
    rows, columns = image.shape[2] // BLOCK, image.shape[3] // BLOCK
    kept = torch.rand(len(image), rows * columns).view(-1, 1, rows, columns) > 0.7
    mask = torch.kron(kept.float(), torch.ones(1, 1, BLOCK, BLOCK))
    assert 0 < float(mask.mean()) < 1
    return (per_pixel(network.predict((image - 0.5) / 0.25 * mask).logits, label) * weight).mean()


def published_on_dacs(network: Any, batches: list[Batch], method: Any) -> Any:
    """DACS as its authors have it, its un-mixed pseudo-labels for the masked images too."""
    teacher, optimizer = deepcopy(network).train(), sgd(network)
    for step, batch in enumerate(batches):
        seed_step(0, step, 0)
        optimizer.zero_grad()
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / TOTAL) ** 0.9
        source, target = batch.source, batch.target
        loss = F.cross_entropy(network(source.image).logits, source.label, ignore_index=IGNORE)
        label, weight = pseudo(teacher, target.image)
        mask = choose(source.label, of_batch=False)
        image = method.base.augmentation(
            mask[:, None] * source.image + ~mask[:, None] * target.image
        )
        errors = per_pixel(network(image).logits, mask * source.label + ~mask * label)
        loss = loss + (errors * (mask + ~mask * weight)).mean()
        loss = loss + masked_loss(network, target.image, label, weight, method.augmentation)
        loss.backward()
        optimizer.step()
        move(teacher, network, step, 0.99)
    return teacher


def published_on_adaptseg(reference: Any, batches: list[Batch], augment: Any) -> Any:
    """AdaptSegNet, multi-level, in its published order; a teacher of MIC's own, which is copied
    from the first student and moves before each further step.
    """
    network = reference.network
    judges = [reference.base.adversaries[level].discriminator for level in ("main", "auxiliary")]
    teacher, rates = deepcopy(network).train(), (0.02, 1e-3, 1e-3)
    optimizers = [
        sgd(network),
        *(torch.optim.Adam(judge.parameters(), lr=1e-3, betas=(0.9, 0.99)) for judge in judges),
    ]

    def fooled(judge: Any, logits: torch.Tensor, answer: float) -> torch.Tensor:
        scores = judge(logits.softmax(1))
        return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, answer))

    for step, batch in enumerate(batches):
        seed_step(0, step, 0)
        for optimizer, rate in zip(optimizers, rates, strict=True):
            optimizer.zero_grad()
            optimizer.param_groups[0]["lr"] = rate * (1 - step / TOTAL) ** 0.9
        if step:
            move(teacher, network, step, 0.999)
        source = network(batch.source.image)
        levels = [(1.0, 0.01, source.logits), (0.1, 0.002, source.auxiliary_logits)]
        loss = sum(
            share * F.cross_entropy(logits, batch.source.label, ignore_index=IGNORE)
            for share, _, logits in levels
        )
        target = network(batch.target.image)
        answers = [target.logits, target.auxiliary_logits]
        for judge, (_, share, _), logits in zip(judges, levels, answers, strict=True):
            loss = loss + share * fooled(judge, logits, 0.0)
        label, weight = pseudo(teacher, batch.target.image)
        loss = loss + masked_loss(network, batch.target.image, label, weight, augment)
        loss.backward()
        optimizers[0].step()
        for judge, optimizer, (_, _, logits), theirs in zip(
            judges, optimizers[1:], levels, answers, strict=True
        ):
            optimizer.zero_grad()  # of what fooling it left there
            halves = fooled(judge, logits.detach(), 0.0), fooled(judge, theirs.detach(), 1.0)
            (sum(halves) / 2).backward()
            optimizer.step()
    move(teacher, network, len(batches), 0.999)  # ours is ready for the next step
    return teacher


def test_on_dacs_as_published_with_the_hosts_teacher(network: Any) -> None:
    method: Any = make(on("dacs", f"method.base.threshold={SURE}"), network)
    assert method.teacher is None, "the host's is there"
    reference, start = deepcopy(network), deepcopy(method.state_dict())
    batches = [make_batch(seed=step) for step in range(STEPS)]
    teacher = published_on_dacs(reference, deepcopy(batches), method)
    train(method, batches)
    close(method.network, reference)
    close(method.base.teacher.network, teacher)
    moved = [k for k, v in method.state_dict().items() if not torch.equal(v, start[k])]
    assert any("running_mean" in key and key.startswith("base.teacher") for key in moved)


def test_on_adaptseg_as_published_with_a_teacher_of_its_own(network: Any) -> None:
    method: Any = make(on("adaptseg", f"method.threshold={SURE}"), network)
    method.weights = {**WEIGHTS, "masked": 1.0}
    reference = deepcopy(method)
    batches = [make_batch(seed=step) for step in range(STEPS)]
    teacher = published_on_adaptseg(reference, deepcopy(batches), method.augmentation)
    train(method, batches)
    close(method.network, reference.network)
    close(method.base.adversaries, reference.base.adversaries)
    close(method.teacher.network, teacher)
    assert int(method.teacher.moves) == STEPS


@pytest.mark.parametrize(
    ("base", "more", "count"),
    [("dacs", (), 1), ("dacs", ("method.pseudo_labels=own",), 2), ("adaptseg", (), 1),
     ("adaptseg", ("method.masked_images=source",), 0)],
)  # fmt: skip
def test_no_teacher_looks_twice(base: str, more: tuple[str, ...], count: int, network: Any) -> None:
    method: Any = make(on(base, *more), network)
    passes: list[str] = []
    teachers = [method.teacher, getattr(method.base, "teacher", None)]
    for name, net in [("student", network), *(("teacher", t.network) for t in teachers if t)]:
        net.register_forward_hook(lambda *_, name=name: passes.append(name))
    list(method.losses(make_batch()))
    assert (passes.count("student"), passes.count("teacher")) == (3, count)


def test_what_is_masked_and_what_it_should_be(network: Any) -> None:
    batch = make_batch()

    def labelled(mode: str) -> tuple[Any, ...]:
        method: Any = make(on("source_only", f"method.masked_images={mode}"), network)
        if mode != "source":
            method.pseudo = method.pseudo_label(batch.target)
        return method.labelled(batch)

    image, label, weight = labelled("source")
    assert torch.equal(image, batch.source.image)
    assert torch.equal(label, batch.source.label)
    assert bool((weight == 1).all())
    image, label, weight = labelled("target")
    assert torch.equal(image, batch.target.image)
    assert torch.equal(label, network(image).logits.argmax(1))
    assert weight.unique().numel() == 1
    pair = labelled("both")
    assert torch.equal(pair[0], torch.cat([batch.source.image[:1], image[:1]]))
    assert torch.equal(pair[1], torch.cat([batch.source.label[:1], label[:1]]))
    assert torch.equal(pair[2], torch.cat([torch.ones_like(weight[:1]), weight[:1]]))


def test_without_a_teacher_the_student_as_it_is_gives_the_labels(network: Any) -> None:
    method: Any = make(on("dacs", "method.pseudo_labels=own", "method.teacher.rate=0"), network)
    train(method, [make_batch(seed=step) for step in range(2)])
    for own, student in zip(
        method.teacher.network.parameters(), method.network.parameters(), strict=True
    ):
        assert torch.equal(own, student)


def test_own_pseudo_labels_have_the_hosts_margins(network: Any) -> None:
    words = ("method.pseudo_labels=own", "method.threshold=0", "method.base.margins.bottom=0.25")
    method: Any = make(on("dacs", *words), network)
    weight = method.pseudo_label(make_batch().target).weight
    assert weight[0, :, 0].unique().tolist() == [0, 1]
    assert bool((weight[:, -weight.shape[1] // 4 :] == 0).all())


def test_a_hosts_own_loss_is_used(network: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """HRDA's has two levels."""
    method: Any = make(on("dacs"), network)
    weights = []

    def loss(prediction: Any, label: Any, weight: Any = None) -> torch.Tensor:
        weights.append(weight)
        return prediction.logits.sum() * 0 + 7

    monkeypatch.setattr(method.base, "student_loss", loss)
    masked = [part["masked"] for part in method.losses(make_batch()) if "masked" in part]
    assert [float(loss.detach()) for loss in masked] == [7]
    assert torch.equal(weights[-1], method.base.pseudo.weight)


def test_the_hosts_state_is_a_part_of_the_wrappers(network: Any) -> None:
    method: Any = make(on("rpt"), network)
    assert (method.rounds, method.first_round, method.round) == (3, 0.25, 0)
    method.round = 2
    assert method.base.get_extra_state()["round"] == 2
    other: Any = make(on("rpt"), deepcopy(network))
    other.load_state_dict(method.state_dict())
    assert other.round == 2
    assert method.players().keys() == method.base.players().keys()
    assert set(method.weights) == {*method.base.weights, "masked"}


@pytest.mark.parametrize(
    ("base", "needs"), [("rpt", {"target.superpixels", "target.index"}), ("dacs", set()),
                        ("gio_ada", {"source.depth"})],
)  # fmt: skip
def test_what_the_host_needs_is_needed(base: str, needs: set[str]) -> None:
    config = compose("train", ["method=mic", f"method@method.base={base}", *TINY])
    assert needed_by(config["method"]) == needs
    assert config["backbone"].get("depth_head", base == "gio_ada") == (base == "gio_ada")
    assert config["run_name"].startswith(f"mic_{base}_")


def test_scores_name_both_methods() -> None:
    facts = method_facts(method_config(*on("adaptseg_single")))
    assert facts["name"] == "mic_adaptseg_single"
    assert facts["label"] == "MIC (AdaptSegNet, single-level)"
    assert (facts["ratio"], facts["base.lambda_adv"]) == (0.7, 0.001)
    assert facts["base.name"] == "adaptseg_single"


def test_a_hosts_mistakes_are_told_in_its_keys(network: Any) -> None:
    network.auxiliary_head = None
    mrm: Any = make(
        ("mrm", ("method@method.base=mic", "method@method.base.base=adaptseg")), network
    )
    method: Any = make(on("adaptseg"), network)
    for one, place in ((method, "method.base"), (mrm, "method.base.base")):
        words = f"{place}.weights.segmentation_auxiliary.*method@{place}=adaptseg_single"
        with pytest.raises(ConfigError, match=words):
            list(one.losses(make_batch()))


def test_an_oracle_is_no_host(network: Any) -> None:
    """Of one's own too, whose file does not say that it stands alone."""
    config = method_config("mic")
    oracle = partial(TargetOnly, weights={"segmentation": 1.0})
    with pytest.raises(ConfigError, match="TargetOnly learns from the target's labels"):
        build({k: v for k, v in config.items() if k != "base"}, network=network, base=oracle)
    assert "target_only" not in BASES


def test_masked_images_may_leave_the_statistics_alone(network: Any) -> None:
    """The network is scored on whole images, whose statistics are others."""
    moved = {}
    for words in ("true", "false"):
        method: Any = make(on("source_only", f"method.moves_statistics={words}"), deepcopy(network))
        torch.manual_seed(0)
        list(method.losses(make_batch()))
        moved[words] = method.network.early[1].num_batches_tracked.item()
    assert moved == {"true": 2, "false": 1}
