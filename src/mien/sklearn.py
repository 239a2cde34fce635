"""mien as an estimator of scikit-learn: `from mien.sklearn import FaceClassifier`."""

from mien.exchange.face_classifier import FaceClassifier

__all__ = ["FaceClassifier"]
