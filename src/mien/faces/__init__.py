"""Faces in photos: detectors, alignments, crops and their quality."""
