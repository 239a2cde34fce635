"""A trained model at work: model folders, backends, readings of photos and videos."""
