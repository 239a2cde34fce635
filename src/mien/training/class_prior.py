"""How frequent the classes are among unlabeled faces, and a finished network that expects them so.

Labels that are drawn class by class say nothing of how often people look angry. Saerens, Latinne and Decaestecker 2002
("Adjusting the Outputs of a Classifier to New a Priori Probabilities", Neural Computation 14) find it by EM, without a label.
"""

from typing import Any

import torch
from torch import Tensor, nn

from mien.errors import MienError
from mien.models import Network
from mien.recognize.device import to_device
from mien.recognize.model_card import ModelCard
from mien.recognize.saved_networks import build_network
from mien.training.components import Components
from mien.training.run import BestEpoch, Run
from mien.wording import percent

ROUNDS = 1000
"""Most rounds of EM; it ends when nothing changes."""


def expected_shares(probabilities: Tensor, trained: Tensor) -> Tensor:
    """The classes' shares (K,) among faces with these probabilities (N, K), by a network trained on shares (K,).

    The paper's EM, in section 2. Departure: one face is added to each class, so that none vanishes.
    """
    shares = trained
    for _ in range(ROUNDS):
        moved = probabilities * (shares / trained)
        counts = (moved / moved.sum(dim=1, keepdim=True)).sum(dim=0) + 1
        before, shares = shares, counts / counts.sum()
        if float((shares - before).abs().max()) < 1e-6:
            break
    return shares


def label_shares(run: Run) -> Tensor:
    """The classes' shares (K,) among the labeled faces that the network learned from, by their weights.

    Where it learned from batches of a draw that balances classes, each class with labels counts as often as another. One face is
    added to each class.
    """
    labels = run.labels[run.labeled]
    counts = torch.zeros(run.classes, dtype=torch.float64, device=run.device)
    counts.index_add_(0, labels, run.weights[run.labeled].double())
    if _learned_balanced(run):
        many = torch.bincount(labels, minlength=run.classes)
        counts *= len(labels) / ((many > 0).sum() * many.clamp(min=1))
    counts += counts.sum() / len(labels)
    return counts / counts.sum()


def _learned_balanced(run: Run) -> bool:
    """Whether the last epoch that is over was drawn balanced; before the first, a start may have fitted labels as they are."""
    stage = run.stage if run.epoch else run.stage - 1
    return stage >= 0 and Components.of(run.recipe, run.recipe.stages[stage]).draw.balances


def found_shares(run: Run) -> Tensor:
    """The classes' shares (K,) among the run's unlabeled faces, as the network of the moment lets EM find them."""
    return expected_shares(run.predictions().probabilities[run.unlabeled].double(), label_shares(run))


def last_bias(network: Network) -> str:
    """The name of the bias of the network's last layer. Raises MienError for a network with several heads."""
    layers = [name for name, module in network.head.named_modules() if isinstance(module, nn.Linear) and module.bias is not None]
    if network.head_count > 1 or not layers:
        raise MienError("a network with one head that ends in a linear layer, for prior", "another one", "set prior to 0")
    return ".".join(part for part in ("head", layers[-1], "bias") if part)


def best_network(run: Run, best: BestEpoch) -> Network:
    """A network of its own with the weights of the best epoch; that in training stays as it is."""
    network = build_network(run.recipe.model, run.classes, run.views.info)
    network.load_state_dict(best.weights)
    return to_device(network, run.device)


def without_offset(weights: dict[str, Tensor], name: str, card: ModelCard) -> dict[str, Tensor]:
    """Weights of a model with its last bias, `name`, as it was before it leaned to a found prior: to train it further."""
    offset = card.budget.get("prior", {}).get("offset")
    if offset is None or name not in weights or weights[name].shape != (len(offset),):
        return weights
    return weights | {name: weights[name] - torch.tensor(offset).to(weights[name])}


def lean_to_found_prior(run: Run, network: Network) -> dict[str, Any]:
    """Move the last bias of `network` towards the classes' frequencies among unlabeled faces; gives what the card says of it.

    The recipe's `prior` times log(found / those of the labels) is added: at 1, by Bayes' rule, a class is as likely as those
    frequencies make it; at 1/2 the answer lies between. A network that learned from aligned pseudo-labels expects them in part
    already, and so gets more. A control, and a run without such faces or prior, does and says nothing.
    Raises MienError as `last_bias` does.
    """
    strength = run.recipe.prior
    if not strength or run.recipe.control or not len(run.unlabeled):
        return {}
    trained, bias = label_shares(run), network.get_parameter(last_bias(network))
    logits = run.predict(run.pool, network)[run.unlabeled.cpu()].to(run.device)
    shares = expected_shares(logits.double().softmax(dim=1), trained)
    offset = strength * (shares / trained).log()
    with torch.no_grad():
        bias.add_(offset.to(bias))
    found = dict(zip(run.data.faces.classes, shares.tolist(), strict=True))
    said = ", ".join(f"{name} {percent(share, 0)}" for name, share in found.items())
    run.progress.say(f"classes among the unlabeled faces, as the model finds them: {said}; its answers lean towards these")
    return {"prior": {"found": found, "strength": strength, "offset": offset.tolist()}}
