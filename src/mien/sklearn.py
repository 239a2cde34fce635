"""mien as an estimator of scikit-learn: `from mien.sklearn import FaceClassifier`."""

from mien.installed import explain_missing, missing_extra

try:
    from mien.exchange.face_classifier import FaceClassifier
except ModuleNotFoundError as error:
    if explain_missing(error) is None:
        raise
    raise missing_extra("sklearn", str(error.name)) from error

__all__ = ["FaceClassifier"]
