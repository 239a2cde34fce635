"""The page in the browser on which people label faces: `serve` shows the faces that a label store asks about."""
