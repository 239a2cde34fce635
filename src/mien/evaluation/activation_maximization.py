"""Activation maximization: pictures that excite a neuron or a class output, by gradient ascent on the input (FN2EN, Fig. 1).

The paper's pictures were made by DeepDraw, which blurs and shifts the picture as it climbs. So does this, from gray noise, at the
network's own size. Departures: one size instead of growing ones; every step has one length, whatever the gradient's.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mien.data.augment import normalize
from mien.progress import Progress
from mien.recognize.device import autocast, channels_last, choose_precision
from mien.recognize.features import Tap

HEAD = "head"
"""Name of the last layer among the blocks: it has a neuron for each class, whose response is the class's logit."""
STEPS = 100
"""Steps of gradient ascent."""
RATE = (0.08, 0.02)
"""Lengths of the first and the last step: root mean squares over pixels, where black is 0 and white 1."""
BLUR = (0.02, 0.009)
"""Standard deviations of the blur after the first and the last step, as shares of the side."""
JITTER = 0.06
"""Most that the picture is shifted before each step, as a share of the side."""


def maximize(source: Tap, block: str, neurons: npt.NDArray[np.int64], seed: int, bar: Progress) -> npt.NDArray[np.uint8]:
    """A picture that excites each of `neurons` (M,) of a block or of HEAD, uint8 (M, S, S) or (M, S, S, 3); `seed` draws the
    noise."""
    channels, side, _ = source.network.shape
    device, noise = next(source.network.parameters()).device, Generator().manual_seed(seed)
    x = (0.5 + 0.05 * torch.randn(1, channels, side, side, generator=noise)).repeat(len(neurons), 1, 1, 1).to(device)
    wanted, far = torch.from_numpy(neurons).to(device), max(1, round(JITTER * side))
    bar.begin(f"pictures of {block}", STEPS)
    for step in range(STEPS if len(neurons) else 0):
        down, across = torch.randint(-far, far + 1, (2,), generator=noise).tolist()
        x = x.roll((down, across), (2, 3)).requires_grad_()
        with autocast(device, choose_precision("auto", device)):
            inputs = channels_last(normalize(x, source.views.normalization))
            made = source.network(inputs) if block == HEAD else source.network.features(inputs, block)
        (slope,) = torch.autograd.grad(excitement(made.float(), wanted).sum(), x)
        length = slope.square().mean(dim=(1, 2, 3), keepdim=True).sqrt() + 1e-12
        way = step / (STEPS - 1)
        x = x.detach() + (RATE[0] + way * (RATE[1] - RATE[0])) * slope / length
        x = blur(x, (BLUR[0] + way * (BLUR[1] - BLUR[0])) * side).clamp(0, 1).roll((-down, -across), (2, 3))
        bar.advance(1)
    pictures = (x * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    drawn: npt.NDArray[np.uint8] = pictures[..., 0] if channels == 1 else pictures
    return drawn


def excitement(features: Tensor, neurons: Tensor) -> Tensor:
    """The response of each picture's neuron, (M,), by features (M, C, S', S') or (M, C) and neurons (M,)."""
    return responses(features).gather(1, neurons[:, None])[:, 0]


def responses(features: Tensor) -> Tensor:
    """Responses (M, C) of all neurons, by features (M, C, S', S') or (M, C): the largest value of a neuron's map (FN2EN,
    III-C)."""
    return features.amax(dim=(2, 3)) if features.ndim == 4 else features


def blur(x: Tensor, sigma: float) -> Tensor:
    """Pictures (M, C, S, S) blurred by a Gaussian of `sigma` pixels, edges repeated."""
    reach = max(1, round(3 * sigma))
    steps = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    weights = torch.softmax(-(steps**2) / (2 * sigma**2), dim=0)
    kernel = weights.view(1, 1, 1, -1).repeat(x.shape[1], 1, 1, 1)
    padded = F.pad(x, (reach,) * 4, mode="replicate")
    across = F.conv2d(padded, kernel, groups=x.shape[1])
    return F.conv2d(across, kernel.transpose(2, 3), groups=x.shape[1])
