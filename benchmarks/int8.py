"""What a model of eight bits is worth: accuracy and speed on one thread, before and after.

    python benchmarks/int8.py FACESET [--model mien-s]

FACESET: faces of the model's classes, such as FER+ (mien import ferplus); measured are the faces of its split test or PublicTest.
"""

import argparse
import tempfile
from pathlib import Path

from mien.recognize.int8_export import export_int8


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("faceset", type=Path)
    parser.add_argument("--model", default="mien-s")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        print(export_int8(asked.model, Path(place, "model.onnx"), asked.faceset))


if __name__ == "__main__":
    main()
