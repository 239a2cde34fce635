"""From photos to crops of faces: detecting faces, aligning them, cutting them out."""
