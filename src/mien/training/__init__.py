"""The only loop: from a recipe, faces and a label budget to a run and its model."""
