"""Trained teachers whose common word is kept for soft targets (Hinton, Vinyals and Dean 2015)."""

from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor
from typing_extensions import override

from mien.data.views import Views
from mien.errors import MienError
from mien.pretraining.soft_targets import has_logits, keep_logits
from mien.recognize.bundled import find_model
from mien.recognize.device import predict_logits, to_device
from mien.recognize.model_card import read_card, require_alike
from mien.recognize.run_records import note_sources
from mien.recognize.saved_networks import read_network
from mien.settings import STRICT
from mien.training.questions import Start
from mien.training.run import EVALUATION_BATCH, Run
from mien.wording import quantity


def log_probabilities(logits: Tensor, temperature: float) -> Tensor:
    """log softmax(z / T) of a teacher's logits z, (N, K), at the temperature T that its card states."""
    return torch.log_softmax(logits / temperature, dim=1)


def together(of_each: list[Tensor]) -> Tensor:
    """The logarithm of the geometric mean of the teachers' distributions, up to a constant of each face; section 1."""
    return torch.stack(of_each).mean(dim=0)


@dataclass(frozen=True, config=STRICT)
class Teachers(Start):
    """The network starts at random; what `models` say of every face is kept for targets and unlabeled = soft_targets.

    Departures: the word is taken once, of the face as it is and of its mirror image; each teacher's logits are divided by its
    own temperature first, so that a cocksure one does not outvote the others.
    """

    models: Annotated[tuple[str, ...], Field(min_length=1)]
    """Runs or model folders, trained on the run's classes in the run's order, or mien-s."""

    @override
    def __call__(self, run: Run) -> None:
        """Keep the teachers' word. Raises MienError where one has other classes, or saw faces of another size or color."""
        folders = [find_model(model) for model in self.models]
        for folder in folders:
            card = read_card(folder)
            require_alike(card, run.data.faces.info)
            if card.classes != run.data.faces.classes:
                wanted = f"a teacher of {', '.join(run.data.faces.classes)}, in this order"
                raise MienError(wanted, f"{', '.join(card.classes)} in {folder}", "name a model trained on these classes")
        note_sources(run.folder, folders)
        if has_logits(run):
            return
        run.progress.say(f"what {quantity(len(folders), 'teacher')} say of {quantity(len(run.labels), 'face')} is computed")
        found = []
        for folder in folders:
            card, network = read_card(folder), to_device(read_network(folder), run.device)
            batches = run.pool.stream(torch.arange(len(run.labels)).split(EVALUATION_BATCH))
            views = Views(run.data.faces.info, card.normalize)
            logits = predict_logits(network, (batch.faces for batch in batches), views, run.precision, flip=True)
            found.append(log_probabilities(logits, card.temperature))
        keep_logits(run, together(found))
