"""The divergence of two predictions against scipy, and neighbors among features."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from scipy.stats import entropy

from mien.models.mien_s import MienS
from mien.models.two_scale import TwoScale
from mien.neighbors.divergence import divergence, kl, moved

logits = st.lists(st.tuples(*[st.floats(-12, 12)] * 6), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(logits)
def test_both_ways_are_scipys(rows: list[tuple[float, ...]]) -> None:
    one, other = torch.tensor(rows)[:, :3], torch.tensor(rows)[:, 3:]
    p, q = softmax(one.double().numpy(), axis=1), softmax(other.double().numpy(), axis=1)
    there, back = entropy(p, q, axis=1), entropy(q, p, axis=1)
    assert np.allclose(kl(one.double().log_softmax(1), other.double().log_softmax(1)), there, atol=1e-9)
    assert np.allclose(divergence(one, other), (there + back) / 2, rtol=1e-5, atol=1e-7)
    assert torch.equal(divergence(one, other), divergence(other, one))
    assert (divergence(one, one) == 0).all()


def test_certain_predictions_have_a_finite_divergence() -> None:
    found = divergence(torch.tensor([[500.0, -500.0]]), torch.tensor([[-500.0, 500.0]]))
    assert found.item() == 1000


def test_the_last_block_and_the_head_are_the_network() -> None:
    for network in (MienS(width=8, depths=(1, 1, 1)).build(4, 1, 32), TwoScale(width=0.1).build(4, 1, 32)):
        network.eval()
        inputs = torch.randn(3, 1, 32, 32)
        with torch.no_grad():
            assert torch.allclose(network.decide(network.last_features(inputs)), network(inputs), atol=1e-6)


def test_noise_is_measured_by_the_deviation() -> None:
    features, deviation = torch.zeros(2000, 2, 3), torch.tensor([[0.0, 1, 2], [3, 4, 5]])
    found = moved(features + 7, deviation, 0.5, torch.Generator().manual_seed(0)) - 7
    assert torch.allclose(found.std(dim=0), 0.5 * deviation, rtol=0.1)
    assert (found[:, 0, 0] == 0).all()
