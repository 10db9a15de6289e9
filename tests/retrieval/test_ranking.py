"""Rankings and their scores against computations written as loops."""

from itertools import permutations

import numpy as np
import pytest

from uda_seg.retrieval import ranking
from uda_seg.retrieval.answers import answer, rows

RANDOM = np.random.default_rng(0)
HALF = np.array([0.5])


def unit(count: int, length: int = 5) -> np.ndarray:
    vectors = RANDOM.normal(size=(count, length)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_scores_equal_loops():
    queries, gallery = unit(7), unit(9)
    layouts, above, ks = RANDOM.random((7, 9)), RANDOM.random(7), (1, 3, 20)
    ranked = ranking.ranking(ranking.cosines(queries, gallery))
    found = ranking.score_ranking(ranked, layouts, above, ks)
    for q in range(7):
        order = sorted(range(9), key=lambda g: -float(np.dot(queries[q], gallery[g])))
        assert ranked[q].tolist() == order
        for k in ks:
            near = order[:k]
            hits = [g for g in near if layouts[q, g] > above[q]]
            assert found["precision", k][q] == pytest.approx(len(hits) / len(near))
            alike = sum(layouts[q, g] for g in near) / len(near)
            assert found["layout", k][q] == pytest.approx(alike)
        precisions = [
            sum(layouts[q, g] > above[q] for g in order[: i + 1]) / (i + 1)
            for i in range(9)
            if layouts[q, order[i]] > above[q]
        ]
        expected = sum(precisions) / len(precisions) if precisions else np.nan
        assert found["average_precision", None][q] == pytest.approx(expected, nan_ok=True)


def test_nothing_relevant_has_no_average_precision_and_no_precision():
    found = ranking.score_ranking(np.array([[1, 0]]), np.zeros((1, 2)), HALF, (1, 5))
    assert np.isnan(found["average_precision", None])
    assert found["precision", 1] == found["precision", 5] == 0


@pytest.mark.parametrize("relevant", [0, 1, 2, 4, 5])
def test_chance_is_the_mean_over_all_orders(relevant):
    layouts = np.array([[1.0] * relevant + [0.0] * (5 - relevant)])
    chance = ranking.chance(layouts, HALF, (1, 2, 9))
    every = [
        ranking.score_ranking(np.array([order]), layouts, HALF, (1, 2, 9))
        for order in permutations(range(5))
    ]
    assert chance.keys() == every[0].keys()
    for key, value in chance.items():
        expected = sum(float(one[key][0]) for one in every) / len(every)
        assert float(value[0]) == pytest.approx(expected, nan_ok=True)


def test_no_descriptor_exceeds_the_best():
    layouts, above = RANDOM.random((6, 12)), np.linspace(0.5, 1.0, 6)
    best = ranking.best(layouts, above, (1, 4))
    for _ in range(20):
        ranked = ranking.ranking(RANDOM.random((6, 12)))
        for key, values in ranking.score_ranking(ranked, layouts, above, (1, 4)).items():
            assert (np.nan_to_num(values) <= np.nan_to_num(best[key]) + 1e-12).all()
    assert (best["average_precision", None][(layouts > above[:, None]).any(1)] == 1).all()


def test_a_blind_answer_is_the_same_for_all_and_right_for_most():
    layouts, above = RANDOM.random((5, 9)), np.full(5, 0.6)
    often = [int((layouts[:, g] > 0.6).sum()) for g in range(9)]
    found = ranking.blind(layouts, above, (1, 3))
    assert found["precision", 1].sum() == max(often)
    assert found["precision", 3].mean() == pytest.approx(sum(sorted(often)[-3:]) / 15)
    for _ in range(20):
        same = np.repeat(ranking.ranking(RANDOM.random((1, 9))), 5, 0)
        other = ranking.score_ranking(same, layouts, above, (1, 3))
        assert other["precision", 3].mean() <= found["precision", 3].mean() + 1e-12


def test_ties_are_broken_by_chance_but_always_the_same_way():
    ranked = ranking.ranking(np.zeros((2, 40)))
    assert sorted(ranked[0]) == list(range(40))
    assert ranked[0].tolist() not in (list(range(40)), ranked[1].tolist())
    assert (ranked == ranking.ranking(np.zeros((2, 40)))).all()
    partly = ranking.ranking(np.array([[0.5, 0.9, 0.5, 0.5]]))[0]
    assert partly[0] == 1
    assert sorted(partly[1:]) == [0, 2, 3]


def test_what_has_no_similarity_comes_last():
    assert ranking.ranking(np.array([[0.1, np.nan, 0.3]]))[0].tolist() == [2, 0, 1]


def test_a_share_of_the_gallery_is_relevant_to_each_query():
    similarities = RANDOM.random((20, 50))
    similarities[0, :30] = similarities[1] = np.nan
    above = ranking.thresholds(similarities, 0.1)
    assert (similarities > above[:, None]).sum(1).tolist() == [2, 0, *[5] * 18]
    assert above[1] == np.inf
    same = np.ones((3, 3))
    assert not (same > ranking.thresholds(same, 0.5)[:, None]).any()


def test_mixing_equals_a_loop():
    own, other = unit(6), unit(4)
    everything = [*own, *other]
    found = ranking.mixing(own, other, (1, 3, 50))
    for q in range(6):
        others = [i for i in range(10) if i != q]
        others.sort(key=lambda i: -float(np.dot(own[q], everything[i])))
        for k in (1, 3, 50):
            near = others[:k]
            expected = sum(i >= 6 for i in near) / len(near)
            assert found["other_domain", k][q] == pytest.approx(expected)
    assert found["other_domain", 50] == pytest.approx(4 / 9)
    assert ranking.even_mixing(6, 4, (50,))["other_domain", 50] == pytest.approx([4 / 9] * 6)


def test_mixing_of_domains_that_cannot_be_told_apart_and_of_some_that_can():
    same = np.tile([[1.0, 0.0]], (200, 1))
    for own, other in ((same, same), (unit(200), unit(200))):
        mixed = ranking.mixing(own, other, (10,))["other_domain", 10]
        assert mixed.mean() == pytest.approx(0.5, abs=0.05)
    apart = ranking.mixing(same, same[:, ::-1], (10,))["other_domain", 10]
    assert (apart == 0).all()


def test_the_same_images_on_both_sides_find_themselves():
    vectors = unit(15)
    layouts = RANDOM.dirichlet(np.ones(3), (15, 10)).astype(np.float32)
    sides = {"source": {"run": {"features": vectors}}, "target": {"run": {"features": vectors}}}
    found = answer(sides, {"source": layouts, "target": layouts}, (1,), 0.1)
    assert len(found) == 2
    for direction in found:
        one = direction.answers["run", "features"]
        assert one.ranked[:, 0].tolist() == list(range(15))
        assert one.scores["precision", 1].tolist() == [1] * 15
        assert one.scores["layout", 1] == pytest.approx(np.ones(15))
        assert one.scores["other_domain", 1].tolist() == [1] * 15


def test_difference_is_paired_and_leaves_out_what_does_not_apply():
    ours, theirs = np.array([0.5, 0.7, np.nan, 0.9]), np.array([0.4, 0.5, 0.1, np.nan])
    mean, half = ranking.difference(ours, theirs)
    assert mean == pytest.approx(0.15)
    assert half == pytest.approx(1.96 * np.std([0.1, 0.2], ddof=1) / np.sqrt(2))
    assert np.isnan(ranking.difference(ours[:1], theirs[:1])[1])
    assert np.isnan(ranking.difference(ours[2:3], theirs[2:3])[0])


def make(runs: tuple[str, ...], labels: bool = True) -> list:
    """Six source and eight target images, described at random by every run."""
    sides = {
        domain: {run: {name: unit(count) for name in ("features", "classes")} for run in runs}
        for domain, count in (("source", 6), ("target", 8))
    }
    layouts = {
        domain: RANDOM.dirichlet(np.ones(4), (count, 10)).astype(np.float32) if labels else None
        for domain, count in (("source", 6), ("target", 8))
    }
    return answer(sides, layouts, (1, 5), 0.25)


def test_both_directions_judge_the_same_pairs():
    there, back = make(("one",))
    assert (there.layouts == back.layouts.T).all()
    assert (there.layouts > there.above[:, None]).sum(1).tolist() == [2] * 6
    assert len(back.above) == 8
    assert (there.answers["one", "classes"].similarity.T).tolist() == (
        back.answers["one", "classes"].similarity.tolist()
    )


def test_a_pair_is_judged_where_labels_tell():
    there = make(("one",))[0]
    relevant = [there.judgement(0, place)[1] for place in range(8)]
    assert relevant == (there.layouts[0] > there.above[0]).tolist()
    assert sum(relevant) == 2
    there.layouts[0, 3] = np.nan
    assert there.judgement(0, 3) == (None, None)
    assert make(("one",), labels=False)[0].judgement(0, 0) == (None, None)


def test_rows_hold_every_number_with_its_chance():
    found = list(rows(make(("before", "control", "after"))))
    plain = [row for row in found if row["over"] is None]
    metrics = 2 + 1 + 2 + 2  # precision, average precision, layout, other domain
    assert len(plain) == 2 * 2 * 3 * metrics
    assert all(None not in (row["value"], row["chance"], row["best"]) for row in plain)
    blind = {row["metric"] for row in plain if row["blind"] is None}
    assert blind == {"other_domain"}
    differences = [row for row in found if row["over"] is not None]
    assert len(differences) == 2 * 2 * 2 * metrics
    assert {(row["run"], row["over"]) for row in differences} == {
        ("after", "before"),
        ("after", "control"),
    }
    key = ("queries", "descriptor", "metric", "k")
    by_run = {(row["run"], *(row[k] for k in key)): row["value"] for row in plain}
    for row in differences:
        if row["metric"] != "average_precision":
            place = tuple(row[k] for k in key)
            expected = by_run[("after", *place)] - by_run[(row["over"], *place)]
            assert row["value"] == pytest.approx(expected, abs=0.002)


def test_without_labels_only_mixing_is_scored():
    found = list(rows(make(("one",), labels=False)))
    assert {row["metric"] for row in found} == {"other_domain"}
    assert found[0]["chance"] == pytest.approx(100 * 8 / 13, abs=0.001)
