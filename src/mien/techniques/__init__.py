"""The answers to a recipe's questions: one technique a file, found by its folder and name.

A technique is a frozen dataclass of its own parameters, and a subclass of its question's protocol: `class Bold(Weigh)`. It sees
the run, never the recipe, and remembers what it must in `run.state[question]`, which is checkpointed with the run.
"""

from mien.training.questions import Draw, Loss, Start, Step, Targets, Unlabeled, Weigh

__all__ = ["Draw", "Loss", "Start", "Step", "Targets", "Unlabeled", "Weigh"]
