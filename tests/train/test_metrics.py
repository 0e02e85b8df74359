"""Metrics against formulas in numpy and torch, however their rows are split, merged, masked, jitted and sharded."""

from functools import cache, partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from fnlearn import tree
from fnlearn.train import metrics

RNG = np.random.default_rng(0)
N, C, L = 24, 5, 3
CLASSES = RNG.integers(0, 4, N)  # class 4 is only ever predicted, and class 3 never is
SCORES = RNG.random((N, C)) + 0.7 * np.eye(C)[CLASSES] - [0, 0, 0, 9, 0]
BOTH = np.r_[0, 1, RNG.integers(0, 2, N - 2)]
SHARES = np.floor((0.6 * RNG.random(N) + 0.4 * BOTH) * 16) / 16  # in sixteenths, some of them equal
TOKENS = np.where(RNG.random((N, L)) < 0.2, -100, RNG.integers(0, C, (N, L)))
LOGITS = RNG.normal(size=(N, L, C))
PAIR = tuple(2 + RNG.integers(-64, 64, (2, N, 2)) / 32)  # as exact in float32 as in float64
WEIGHTED = (RNG.random((N, L)), RNG.random(N))
BY_CLASS = (SCORES, CLASSES)


def hits(scores, classes, k):
    return (torch.topk(torch.tensor(scores), k).indices == torch.tensor(classes)[:, None]).any(1).double().mean()


def cells(scores, classes):
    found = np.zeros((C, C), int)
    for row, target in zip(scores, classes, strict=True):
        found[target, list(row).index(max(row))] += 1
    return found


def by_class(kind, average, scores, classes):
    """From the definitions, one class after the other."""
    found, each, actual = cells(scores, classes), [], []
    sums = np.zeros(2)
    for c in range(C):
        hit, predicted, target = found[c, c], found[:, c].sum(), found[c].sum()
        part, whole = {
            "precision": (hit, predicted), "recall": (hit, target), "f1": (2 * hit, predicted + target)
        }[kind]  # fmt: skip
        sums += part, whole
        each.append(np.nan if predicted + target == 0 else part / whole if whole else 0.0)
        actual.append(target)
    if average == "weighted":
        return sum(n * score for n, score in zip(actual, each, strict=True) if n) / sum(actual)
    return {"micro": sums[0] / sums[1], "macro": np.nanmean(each), None: np.array(each)}[average]


def area(scores, targets):
    """Over all pairs of a positive and a negative row."""
    apart = scores[targets == 1][:, None] - scores[targets == 0]
    return np.mean(np.where(apart == 0, 0.5, apart > 0))


def surprise(logits, targets):
    return torch.exp(torch.nn.functional.cross_entropy(torch.tensor(logits).mT, torch.tensor(targets)))


def determination(p, t):
    return np.mean(1 - ((t - p) ** 2).sum(0) / ((t - t.mean(0)) ** 2).sum(0))


CASES: dict[str, tuple[metrics.Metric, Any, Any]] = {
    "accuracy": (metrics.accuracy(), BY_CLASS, partial(hits, k=1)),
    "top 3": (metrics.accuracy(3), BY_CLASS, partial(hits, k=3)),
    "classes": (metrics.accuracy(), (SCORES.argmax(1), CLASSES), lambda p, t: np.mean(p == t)),
    "confusion": (metrics.confusion_matrix(C), BY_CLASS, cells),
    "f1": (metrics.f1(C), BY_CLASS, partial(by_class, "f1", "macro")),
    "precision": (metrics.precision(C, "weighted"), BY_CLASS, partial(by_class, "precision", "weighted")),
    "recall": (metrics.recall(C, None), BY_CLASS, partial(by_class, "recall", None)),
    "auroc": (metrics.auroc(16), (SHARES, BOTH), area),
    "perplexity": (metrics.perplexity(), (LOGITS, TOKENS), surprise),
    "mean": (metrics.mean(), WEIGHTED[:1], np.mean),
    "weighted": (metrics.mean(), WEIGHTED, lambda x, w: np.average(x, weights=np.tile(w[:, None], (1, L)))),
    "squared": (metrics.mean_squared_error(), PAIR, lambda p, t: ((p - t) ** 2).mean()),
    "absolute": (metrics.mean_absolute_error(), PAIR, lambda p, t: abs(p - t).mean()),
    "r2": (metrics.r2_score(2), PAIR, determination),
    "r2 of one": (metrics.r2_score(), [x[:, 0] for x in PAIR], determination),
}
SPLITS = [[1, 23], [5, 7, 12], [0, 8, 16]]
every_metric = pytest.mark.parametrize("name", CASES)


@cache
def value(metric):
    """The metric of one batch, compiled."""
    return jax.jit(lambda *inputs: metric.compute(metric.update(metric.init(), *inputs)))


def arrays(inputs):
    return [jnp.asarray(x, int if x.dtype.kind == "i" else float) for x in inputs]


def close(name, state, rtol=3e-6, inputs=None):
    """That a state's value is the reference's, of all rows unless others are given."""
    metric, all_rows, reference = CASES[name]
    np.testing.assert_allclose(metric.compute(state), reference(*(inputs or all_rows)), rtol=rtol, atol=0)


@pytest.mark.parametrize("split", SPLITS, ids=str)
@every_metric
def test_value_is_the_formulas_however_rows_are_split_and_merged(name, split):
    metric, inputs, _ = CASES[name]
    batches = list(zip(*(jnp.split(x, np.cumsum(split)[:-1]) for x in arrays(inputs)), strict=True))
    update = jax.jit(metric.update)
    close(name, reduce(lambda state, batch: update(state, *batch), batches, metric.init()))
    states = [update(metric.init(), *batch) for batch in batches]
    close(name, reduce(metric.merge, states))
    close(name, reduce(metric.merge, states[::-1], metric.init()))


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", None])
@pytest.mark.parametrize("kind", ["f1", "precision", "recall"])
def test_averages_over_classes(kind, average):
    score = value(getattr(metrics, kind)(C, average))(*arrays(BY_CLASS))
    np.testing.assert_allclose(score, by_class(kind, average, *BY_CLASS), rtol=3e-6)


@every_metric
def test_without_jit_in_a_scan_and_from_a_vmap(name):
    metric, inputs, _ = CASES[name]
    close(name, metric.update(metric.init(), *arrays(inputs)))
    shards = [x.reshape(4, -1, *x.shape[1:]) for x in arrays(inputs)]
    scan = jax.jit(lambda *x: jax.lax.scan(lambda s, batch: (metric.update(s, *batch), None), metric.init(), x)[0])
    close(name, scan(*shards))
    stacked = jax.jit(jax.vmap(partial(metric.update, metric.init())))(*shards)
    close(name, metrics.merge_all(metric, stacked))


@every_metric
def test_over_devices(name):
    """Sharded rows under jit; shard_map with a psum of sums; and shard_map with its states stacked."""
    metric, inputs, _ = CASES[name]
    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = [jax.device_put(x, NamedSharding(mesh, P("data"))) for x in arrays(inputs)]
    close(name, jax.jit(metric.update)(metric.init(), *rows))
    shard = partial(jax.shard_map, mesh=mesh, in_specs=P("data"))
    stacked = shard(lambda *x: jax.tree.map(lambda s: s[None], metric.update(metric.init(), *x)), out_specs=P("data"))
    close(name, metrics.merge_all(metric, jax.jit(stacked)(*rows)))
    if not name.startswith("r2"):
        summed = shard(lambda *x: jax.lax.psum(metric.update(metric.init(), *x), "data"), out_specs=P())
        close(name, jax.jit(summed)(*rows))


@every_metric
def test_masked_rows_change_nothing_whatever_they_hold(name):
    """Rows of NaN, of infinity and of no class, between those that count."""
    metric, inputs, _ = CASES[name]
    update = jax.jit(metric.update)
    mask = jnp.asarray(np.random.default_rng(1).permutation([True] * 17 + [False] * 7))
    kept = [x[np.asarray(mask)] for x in inputs]
    for float_value, int_value in ((np.nan, 10**6), (np.inf, -7)):
        rows = [
            jnp.where(mask.reshape(-1, *(1,) * (x.ndim - 1)), x, int_value if x.dtype.kind == "i" else float_value)
            for x in arrays(inputs)
        ]
        close(name, update(metric.init(), *rows, mask=mask), inputs=kept)


def test_a_mask_of_the_targets_own_shape():
    kept = RNG.random((N, L)) < 0.5
    metric = metrics.perplexity()
    state = metric.update(metric.init(), *arrays((LOGITS, TOKENS)), mask=kept)
    close("perplexity", state, inputs=(LOGITS, np.where(kept, TOKENS, -100)))


@every_metric
def test_no_row_gives_nan(name):
    metric, inputs, _ = CASES[name]
    update = jax.jit(metric.update)
    none = update(metric.init(), *(x[:0] for x in arrays(inputs)))
    masked = update(metric.init(), *arrays(inputs), mask=jnp.zeros(N, bool))
    for state in (metric.init(), none, masked, metric.merge(none, masked)):
        value = np.asarray(metric.compute(state))
        assert (value == 0).all() if name == "confusion" else np.isnan(value).all()


@pytest.mark.usefixtures("x64")
@every_metric
def test_in_float64(name):
    metric, inputs, _ = CASES[name]
    state = jax.jit(metric.update)(metric.init(), *arrays(inputs))
    assert {x.dtype.name for x in jax.tree.leaves(state)} <= {"float64", "int64"}
    close(name, state, rtol=1e-13)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["perplexity", "mean", "squared", "r2", "top 3"])
def test_narrow_inputs_are_added_in_float32(name, dtype):
    """The value is that of the rounded inputs, not of rounded sums."""
    metric, inputs, _ = CASES[name]
    narrow = [x.astype(dtype) if x.dtype == "float32" else x for x in arrays(inputs)]
    rounded = [np.asarray(x).astype("float64" if x.dtype == dtype else "int64") for x in narrow]
    close(name, jax.jit(metric.update)(metric.init(), *narrow), inputs=rounded)


def test_counts_stay_exact_where_float32_does_not():
    metric = metrics.accuracy()
    after = metric.update(jax.tree.map(lambda x: x + 2**24, metric.init()), jnp.array([1]), jnp.array([1]))
    assert (int(after["total"]), int(after["count"])) == (2**24 + 1, 2**24 + 1)


def test_the_spread_survives_a_large_mean():
    """A sum of squares about 0 has no digit of it left in float32."""
    t = (4096 + np.random.default_rng(2).normal(size=(50, 20))).astype("float32")
    p = (t + 0.5).astype("float32")
    metric = metrics.r2_score()
    update = jax.jit(metric.update)
    state = reduce(lambda s, rows: update(s, *rows), zip(p, t, strict=True), metric.init())
    wide = [x.astype("float64").ravel() for x in (p, t)]
    np.testing.assert_allclose(metric.compute(state), determination(*wide), rtol=1e-5)


def test_targets_of_one_number_have_no_r2():
    r2 = value(metrics.r2_score())
    assert r2(jnp.ones(7), jnp.full(7, 0.1)) == -np.inf
    assert np.isnan(r2(jnp.full(7, 0.1), jnp.full(7, 0.1)))


ACCURACY = {k: metrics.accuracy(k) for k in (1, 2, 3)}
AUROC = metrics.auroc()


def accuracy_of(scores, target, k):
    return float(value(ACCURACY[k])(jnp.array([scores], float), jnp.array([target])))


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("target", [0, 1, 2])
def test_equal_scores_are_taken_in_their_order(target, k):
    assert accuracy_of([1.0, 1.0, 1.0], target, k) == (target < k)
    assert accuracy_of([2, 1, 2], target, k) == ([0, 2, 1][target] < k)


@pytest.mark.parametrize(
    ("scores", "target"), [([np.nan] * 3, 0), ([0.0, np.nan, 0.0], 1), ([0.0, 0.0, 1.0], -1), ([1.0] * 3, 3)]
)
def test_neither_nan_nor_a_target_that_is_no_class_is_right(scores, target):
    assert accuracy_of(scores, target, 3) == 0


def test_classes_outside_the_range():
    """The matrix leaves them out, for precision they are wrong, and of the likelihood they make NaN unless ignored."""
    p, t = jnp.array([0, 1, 1, -1, 2, 1]), jnp.array([0, -1, 2, 1, 0, 1])
    np.testing.assert_array_equal(value(metrics.confusion_matrix(2))(p, t), [[1, 0], [0, 1]])
    np.testing.assert_allclose(value(metrics.precision(2, None))(p, t), [1, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(value(metrics.recall(2, None))(p, t), [1 / 2, 1 / 2], rtol=1e-6)
    perplexity = value(metrics.perplexity(-7))
    for target, expected in ((-7, C), (-1, np.nan), (-100, np.nan), (C, np.nan)):
        np.testing.assert_allclose(perplexity(jnp.zeros((2, C)), jnp.array([0, target])), expected, rtol=1e-6)


@pytest.mark.parametrize("thresholds", [2, 10, 200, 1000])
def test_auroc_is_off_by_no_more_than_half_the_pairs_in_one_bin(thresholds):
    rng = np.random.default_rng(3)
    targets = rng.integers(0, 2, 500)
    scores = np.float32(np.clip(0.5 + 0.1 * rng.normal(size=500) + 0.1 * targets, 0, 1))
    found = value(metrics.auroc(thresholds))(scores, targets == 1)
    bins = np.minimum(np.floor(scores * np.float32(thresholds)), thresholds - 1)
    np.testing.assert_allclose(found, area(bins, targets), rtol=1e-6)
    together = np.mean(bins[targets == 1][:, None] == bins[targets == 0])
    assert abs(found - area(scores, targets)) <= together / 2 + 1e-6


@pytest.mark.parametrize(
    ("scores", "targets"),
    [([0.1, 0.2, x], [0, 1, 1]) for x in (1.01, -1e-3, np.nan)]
    + [([0.1, 0.2, 0.3], targets) for targets in ([0, 1, 2], [-1, 0, 1], [1, 1, 1], [0, 0, 0])],
)
def test_auroc_of_what_it_cannot_tell_is_nan(scores, targets):
    assert np.isnan(value(AUROC)(jnp.array(scores), jnp.array(targets)))


def test_the_edges_of_the_scores_count():
    assert value(AUROC)(jnp.array([0.0, 1.0]), jnp.array([False, True])) == 1


def test_a_collection_is_a_metric_of_dicts():
    """Inputs of all, inputs of one's own, one mask, a collection within, and a state that goes through a file."""
    inner = metrics.collection({"top": metrics.accuracy(3), "f1": metrics.f1(C)})
    both = metrics.collection({"scores": inner, "loss": metrics.mean(), "share": metrics.auroc(16)})
    loss, *shares = arrays((WEIGHTED[0], SHARES, BOTH))
    update = jax.jit(both.update)

    def state(rows):
        mask = np.isin(np.arange(N), rows)
        return update(both.init(), *arrays(BY_CLASS), mask=mask, loss=loss, share=tuple(shares))

    found = both.compute(both.merge(state(range(7)), state(range(7, 17))))
    scores, classes = (x[:17] for x in BY_CLASS)
    np.testing.assert_allclose(found["scores"]["top"], hits(scores, classes, 3), rtol=1e-6)
    np.testing.assert_allclose(found["scores"]["f1"], by_class("f1", "macro", scores, classes), rtol=1e-6)
    np.testing.assert_allclose(found["loss"], WEIGHTED[0][:17].mean(), rtol=1e-6)
    np.testing.assert_allclose(found["share"], area(SHARES[:17], BOTH[:17]), rtol=1e-6)


def test_a_state_is_saved_as_parameters_are(tmp_path):
    both = metrics.collection({"r2": metrics.r2_score(2), "error": metrics.mean_absolute_error()})
    state = both.update(both.init(), *arrays(PAIR))
    tree.save(tmp_path / "state.safetensors", state)
    back = jax.tree.map(jnp.asarray, tree.load(tmp_path / "state.safetensors"))
    same = partial(jax.tree.map, partial(np.testing.assert_array_equal, strict=True))
    same(back, state)
    same(both.compute(back), both.compute(state))


def updated(metric, *inputs, **named):
    return lambda: metric.update(metric.init(), *inputs, **named)


ONES, INTS = jnp.ones(4), jnp.ones(4, int)
ONE = metrics.collection({"mean": metrics.mean()})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.accuracy(0), "top_k must be an integer of at least 1, got 0"),
        (lambda: metrics.accuracy(1.5), r"top_k must be an integer of at least 1, got 1\.5"),  # type: ignore[arg-type]
        (lambda: metrics.confusion_matrix(0), "num_classes must be an integer of at least 1, got 0"),
        (lambda: metrics.f1(0), "num_classes must be an integer of at least 1, got 0"),
        (lambda: metrics.recall(3, "binary"), "average must be one of 'macro', 'micro', 'weighted', got 'binary'"),
        (lambda: metrics.auroc(1), "thresholds must be an integer of at least 2, got 1"),
        (lambda: metrics.r2_score(0), "num_outputs must be an integer of at least 1, got 0"),
        (lambda: metrics.perplexity(None), "ignore_index must be an integer, got None"),  # type: ignore[arg-type]
        (lambda: metrics.collection({"a": 1}), r"without the name \"mask\", got wrong entries \['a'\]"),  # type: ignore[dict-item]
        (lambda: metrics.collection({"mask": metrics.mean()}), r"got wrong entries \['mask'\]"),
        (updated(ONE, ONES, men=ONES), r"must be for one of \['mean'\], got \['men'\]"),
        (updated(metrics.accuracy(), ONES, INTS), r"integer classes \(4,\) or scores \(4, C\).* 1, got float32 \(4,\)"),
        (updated(metrics.accuracy(2), INTS, INTS), r"must be scores \(4, C\) with C at least 2, got int32 \(4,\)"),
        (updated(metrics.accuracy(3), jnp.ones((4, 2)), INTS), r"C at least 3, got float32 \(4, 2\)"),
        (updated(metrics.accuracy(), jnp.ones((3, 2)), INTS), r"scores \(4, C\) .* got float32 \(3, 2\)"),
        (updated(metrics.accuracy(), jnp.ones((4, 2)), ONES), r"targets must be integer classes, got float32 \(4,\)"),
        (updated(metrics.f1(3), jnp.ones((4, 2)), INTS), r"classes \(4,\) or scores \(4, 3\), got float32 \(4, 2\)"),
        (updated(metrics.confusion_matrix(3), ONES, INTS), r"or scores \(4, 3\), got float32 \(4,\)"),
        (updated(metrics.auroc(), INTS, INTS), r"floating-point of the targets' shape \(4,\), got int32 \(4,\)"),
        (updated(metrics.auroc(), jnp.ones((4, 2)), INTS), r"the targets' shape \(4,\), got float32 \(4, 2\)"),
        (updated(metrics.perplexity(), ONES, INTS), r"floating-point \(4, C\), got float32 \(4,\)"),
        (updated(metrics.perplexity(), jnp.ones((4, 2), int), INTS), r"floating-point \(4, C\), got int32 \(4, 2\)"),
        (updated(metrics.mean_squared_error(), ONES[:, None], ONES), r"targets' shape \(4,\), got \(4, 1\)"),
        (updated(metrics.r2_score(), ONES, ONES[:, None]), r"shape \(N, 1\) or \(N\), got \(4,\) and \(4, 1\)"),
        (updated(metrics.r2_score(2), ONES, ONES), r"the shape \(N, 2\), got \(4,\) and \(4,\)"),
        (updated(metrics.mean(), ONES.astype(complex)), r"values must be real numbers, got complex64 \(4,\)"),
        (updated(metrics.mean(), ONES, ONES[:3]), r"weights must have the shape \(4,\) or a leading part .* \(3,\)"),
        (updated(metrics.mean(), ONES, mask=INTS), "mask must be boolean, got int32"),
        (updated(metrics.mean(), ONES, mask=jnp.ones((4, 1), bool)), r"mask must .* \(4,\) or .* got \(4, 1\)"),
        (updated(metrics.r2_score(), ONES, ONES, mask=jnp.ones(3, bool)), r"mask must have the shape \(4,\)"),
        (lambda: metrics.merge_all(ONE, ONE.init()), "states must be stacked and at least one"),
        (lambda: metrics.merge_all(metrics.mean(), {"total": ONES[:0], "count": ONES[:0]}), "at least one, got"),
    ],
)  # fmt: skip
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
