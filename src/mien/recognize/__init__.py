"""A trained model at work: model folders, backends, predictions for photos and videos."""
