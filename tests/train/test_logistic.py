"""Logistic regression against its definition, and a penalty that no tested group has a say in."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from s3d.errors import InputError
from s3d.train.logistic import (
    DEFAULT_STRENGTH,
    STRENGTHS,
    Examples,
    choose_strength,
    fit_logistic,
    part_groups,
)


def make_examples(
    count: int = 60, size: int = 12, classes: int = 3, signal: float = 1.0
) -> Examples:
    """Draw examples of which the first coordinates tell the class, in groups of three."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % classes
    features = rng.normal(size=(count, size)) * rng.uniform(0.5, 20, size) + rng.normal(size=size)
    features[:, :classes] += signal * 20 * np.eye(classes)[labels]
    return Examples(features, labels.astype(np.int64), np.arange(count) // 3)


@pytest.mark.parametrize(("count", "size"), [(60, 12), (30, 80)])
@pytest.mark.parametrize("strength", [2.0, 0.02])
def test_the_fit_is_where_the_gradient_of_the_definition_is_nought(
    count: int, size: int, strength: float
) -> None:
    examples = make_examples(count, size)
    (fitted,) = fit_logistic(examples, 3, (strength,))
    values = torch.from_numpy(examples.features)
    standard = (values - values.mean(0)) / values.std(0, correction=0)
    weight = fitted.weight.clone().requires_grad_(True)
    bias = fitted.bias.clone().requires_grad_(True)
    loss = F.cross_entropy(standard @ weight.T + bias, torch.from_numpy(examples.labels))
    (loss + strength / 2 * weight.square().sum()).backward()
    assert weight.grad is not None
    assert bias.grad is not None
    assert float(weight.grad.norm()) < 5e-3 * float(strength * fitted.weight.norm())
    assert float(bias.grad.norm()) < 1e-4
    torch.testing.assert_close(
        fitted.logits(examples.features), standard @ fitted.weight.T + fitted.bias
    )


def test_it_is_the_fit_of_scikit_learn() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    examples = make_examples(signal=0.1)
    (fitted,) = fit_logistic(examples, 3, (0.1,))
    standard = (examples.features - examples.features.mean(0)) / examples.features.std(0)
    theirs = linear_model.LogisticRegression(C=1 / (0.1 * 60), tol=1e-8, max_iter=1000)
    theirs.fit(standard, examples.labels)
    ours = fitted.logits(examples.features).softmax(1).numpy()
    np.testing.assert_allclose(ours, theirs.predict_proba(standard), atol=1e-4)


def test_a_stronger_penalty_gives_smaller_weights() -> None:
    fitted = fit_logistic(make_examples(), 3, STRENGTHS)
    sizes = [float(one.weight.norm()) for one in fitted]
    assert all(small < large for small, large in pairwise(sizes))


def test_a_feature_that_never_changes_is_no_trouble() -> None:
    examples = make_examples()
    examples.features[:, 5] = 3.0
    without = Examples(np.delete(examples.features, 5, 1), examples.labels, examples.groups)
    (fitted,), (wanted,) = (fit_logistic(given, 3, (0.1,)) for given in (examples, without))
    torch.testing.assert_close(
        fitted.logits(examples.features), wanted.logits(without.features), rtol=0, atol=1e-3
    )
    assert float(fitted.weight[:, 5].abs().max()) < 1e-9


def test_noise_wants_a_strong_penalty_and_signal_a_weak_one() -> None:
    noise = make_examples(signal=0.0)
    clear = make_examples(signal=4.0)
    strong, loss_of_noise = choose_strength(noise, 3)
    weak, loss_of_clear = choose_strength(clear, 3)
    assert strong > weak
    assert loss_of_noise > 0.9 * np.log(3)
    assert loss_of_clear < 0.2


def test_the_penalty_is_chosen_between_whole_groups() -> None:
    """Twins in two groups would be told by heart; in one group they are left out together."""
    rng = np.random.default_rng(1)
    once = rng.normal(size=(40, 30))
    twins = np.repeat(once, 2, axis=0)
    labels = np.repeat(np.arange(40) % 2, 2).astype(np.int64)
    together = Examples(twins, labels, np.repeat(np.arange(40), 2))
    apart = Examples(twins, labels, np.arange(80))
    assert choose_strength(together, 2)[1] > 0.65
    assert choose_strength(apart, 2)[1] < 0.5


def test_groups_stay_whole_and_classes_even() -> None:
    rng = np.random.default_rng(2)
    groups = rng.integers(0, 25, 200)
    labels = rng.integers(0, 2, 200)
    parts = part_groups(labels, groups, 4)
    for group in set(groups.tolist()):
        assert len(set(parts[groups == group].tolist())) == 1
    counts = np.array([[np.sum((parts == p) & (labels == c)) for c in (0, 1)] for p in range(4)])
    assert counts.min() > 0.7 * 200 / 8
    assert counts.max() < 1.3 * 200 / 8


def test_where_no_group_can_be_left_out_the_default_is_taken() -> None:
    examples = make_examples(6, 4)
    alone = Examples(examples.features, examples.labels, np.zeros(6, np.int64))
    assert choose_strength(alone, 3) == (DEFAULT_STRENGTH, float("inf"))


def test_what_cannot_be_learnt_is_refused() -> None:
    examples = make_examples()
    with pytest.raises(InputError, match="class number 3 has no example to learn from; each of 4"):
        fit_logistic(examples, 4, (1.0,))
    examples.features[0, 0] = np.nan
    with pytest.raises(InputError, match=r"features are not finite; the model's weights"):
        fit_logistic(examples, 3, (1.0,))
