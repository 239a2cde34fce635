"""From photos to faces: finding them."""
