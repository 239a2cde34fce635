"""MTCNN's networks against plain formulas of their arrays, its cascade against loops over boxes, and what it finds in photos."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import joblib
import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_detect_boxes import greedy
from test_detect_contract import same
from torch import Tensor
from torch.nn import functional as F

from conftest import SHARED
from drawn import drawings, photos
from mien import MienError
from mien.faces.detect import detector_from_text, mtcnn
from mien.faces.face import Face
from mien.faces.mtcnn import networks as nets
from mien.faces.mtcnn import proposals
from mien.faces.mtcnn.integral_image import IntegralImage
from mien.faces.mtcnn.networks import mtcnn_networks
from mien.faces.orientation import in_all_directions, turned
from mien.media.photos import Photo

PHOTOS = SHARED / "photos"


def _script(path: Path) -> Any:
    """A script of the repository as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


package = _script(Path(__file__).parents[2] / "benchmarks" / "mtcnn_weights.py")


def by_formula(name: str, pictures: Tensor) -> list[Tensor]:
    """Keras' network: the softmax of being a face, offsets and landmarks of pictures (B, H, W, 3), channels last at the end."""
    arrays = [torch.from_numpy(np.array(array)) for array in package.read_mtcnn_weights(name)]
    x, pools = (
        (pictures.permute(0, 3, 1, 2) - 127.5) * 0.0078125,
        {"pnet": (2, 0, 0), "rnet": (3, 3, 0), "onet": (3, 3, 2, 0)}[name],
    )
    for number, pool in enumerate(pools):
        kernel, bias, slope = arrays[3 * number : 3 * number + 3]
        x = F.conv2d(x, kernel.permute(3, 2, 0, 1), bias)
        x = torch.where(x > 0, x, x * slope.view(1, -1, 1, 1))
        x = F.max_pool2d(x, pool, 2, ceil_mode=True) if pool else x
    rest = arrays[3 * len(pools) :]
    if name == "pnet":
        x, rest = x.permute(0, 2, 3, 1), [rest[0][0, 0], rest[1], rest[2][0, 0], rest[3]]
    else:
        x = x.permute(0, 3, 2, 1).flatten(1) @ rest[0] + rest[1]
        x, rest = torch.where(x > 0, x, x * rest[2]), rest[3:]
    made = [x @ rest[n] + rest[n + 1] for n in range(0, len(rest), 2)]
    return [made[-1].softmax(dim=-1)[..., 1], *made[:-1]]


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
@pytest.mark.parametrize(("name", "role", "size"), [
    ("pnet", "propose", (31, 44)), ("pnet", "propose", (12, 12)), ("rnet", "refine", (24, 24)), ("onet", "output", (48, 48)),
])  # fmt: skip
def test_networks_are_what_their_arrays_say(runtime: Any, name: str, role: str, size: tuple[int, int]) -> None:
    pictures = torch.rand(3, *size, 3, generator=torch.Generator().manual_seed(0)) * 255
    found = getattr(mtcnn_networks(runtime), role)(pictures.numpy())
    assert found.dtype == np.float32
    made = torch.from_numpy(found)
    made = made.permute(0, 2, 3, 1) if name == "pnet" else made
    face, *others = by_formula(name, pictures)
    assert torch.allclose(made[..., 0].sigmoid(), face, atol=1e-5)
    assert torch.allclose(made[..., 1:], torch.cat(others, dim=-1), atol=1e-4)
    assert face.std() > 1e-4, "pictures differ, and so do answers"


def test_the_files_are_those_that_the_package_gives(tmp_path: Path) -> None:
    package.main(tmp_path)
    for name in nets.NETWORKS:
        assert (tmp_path / f"{name}.onnx").read_bytes() == (nets.FOLDER / f"{name}.onnx").read_bytes()


def test_missing_and_other_weights_are_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(nets, "FOLDER", tmp_path)
    with pytest.raises(MienError, match="install mien again"):
        mtcnn_networks.__wrapped__("onnx")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MienError, match="pip install mtcnn"):
        package.read_mtcnn_weights("pnet")
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    (tmp_path / "assets" / "weights").mkdir(parents=True)
    (tmp_path / "assets" / "weights" / "onet.lz4").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    monkeypatch.setattr(joblib, "load", lambda file: pytest.fail("unpickled before its hash was found right"))
    with pytest.raises(MienError, match="sha256 94f6ea2f4cf9"):
        package.read_mtcnn_weights("onet")


def test_finding_faces_loads_nothing_heavy(tmp_path: Path) -> None:
    np.save(tmp_path / "photo.npy", photos()[0])
    code = """if True:
        import sys
        import numpy as np
        from mien.faces.detect import detector_from_text
        print(len(detector_from_text("mtcnn")([np.load("photo.npy")])[0]))
        print(sorted({"torch", "scipy", "matplotlib", "pyarrow", "onnx", "joblib"} & set(sys.modules)))
    """
    one = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path, env=one)
    assert done.stdout.split("\n") == ["2", "[]", ""]


@pytest.mark.parametrize("probability", [0.0, 1e-300, 0.3, 0.5, 0.7, 1 - 1e-12, 1.0])
def test_logits_are_those_of_torch(probability: float) -> None:
    expected = torch.tensor(probability, dtype=torch.float64).logit().item()
    assert proposals.logit(probability) == pytest.approx(expected, rel=1e-12)


def crop_of(photo: Photo, box: npt.NDArray[np.float32], side: int, cut: bool) -> Tensor:
    """A box that counts pixels from 1, resized: (1, side, side, 3)."""
    x0, y0, x1, y1 = (int(value) for value in box)
    x0, y0 = x0 - 1, y0 - 1
    if cut:
        x0, y0, x1, y1 = max(x0, 0), max(y0, 0), min(x1, photo.shape[1]), min(y1, photo.shape[0])
    whole = F.pad(torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].float(), [900] * 4)
    part = whole[:, :, y0 + 900 : y1 + 900, x0 + 900 : x1 + 900]
    return F.interpolate(part, side, mode="area").permute(0, 2, 3, 1)


def by_loops(photo: Photo, cut: bool) -> list[tuple[Face, ...]]:
    """The cascade for one photo, box by box."""
    rows: list[tuple[npt.NDArray[np.float32], float, npt.NDArray[np.float32]]] = []
    scale = 12 / 20
    while min(photo.shape[:2]) * scale >= 12:
        size = (int(photo.shape[0] * scale + 1), int(photo.shape[1] * scale + 1))
        level = F.interpolate(torch.from_numpy(photo.copy()).permute(2, 0, 1)[None].float(), size, mode="area")
        faces, offsets = (part[0].numpy() for part in by_formula("pnet", level.permute(0, 2, 3, 1)))
        at = [(y, x) for y in range(faces.shape[0]) for x in range(faces.shape[1]) if faces[y, x] >= 0.6]
        boxes = [
            np.floor(np.array([2 * x + 1, 2 * y + 1, 2 * x + 12, 2 * y + 12], np.float32) / np.float32(scale)) for y, x in at
        ]
        rows += kept([(box, float(faces[place]), offsets[place]) for box, place in zip(boxes, at, strict=True)], 0.5)
        scale *= 0.709
    boxes = [longest(moved(box, offsets, 0)) for box, _, offsets in kept(rows, 0.7)]
    for name, side in (("rnet", 24), ("onet", 48)):
        rows = []
        for box in boxes:
            face, *others = (part[0].numpy() for part in by_formula(name, crop_of(photo, box, side, cut)))
            if face > 0.7:
                rows.append((box, float(face), np.concatenate(others)))
        if name == "rnet":
            boxes = [longest(moved(box, offsets, 1)) for box, _, offsets in kept(rows, 0.7)]
    made = []
    for box, score, offsets in rows:
        wide, high = box[2] - box[0] + 1, box[3] - box[1] + 1
        marks = np.stack([offsets[4:9] * wide + box[0] - 1, offsets[9:] * high + box[1] - 1], axis=1)
        x0, y0, x1, y1 = moved(box, offsets[:4], 1).tolist()
        made.append(Face((x0 - 1, y0 - 1, x1, y1), marks, score))
    ends = np.array([face.box for face in made], np.float32).reshape(-1, 4)
    best = greedy(ends, np.array([face.score for face in made], np.float32), np.zeros(len(made), np.int64), 0.7, "smaller")
    return [tuple(made[n] for n in best)]


def kept(rows: list[Any], threshold: float) -> list[Any]:
    boxes, scores = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    return [rows[n] for n in greedy(boxes, scores, np.zeros(len(rows), np.int64), threshold, "union")]


def moved(box: npt.NDArray[np.float32], offsets: npt.NDArray[np.float32], more: int) -> npt.NDArray[np.float32]:
    wide, high = box[2] - box[0] + more, box[3] - box[1] + more
    return np.array(
        [box[0] + offsets[0] * wide, box[1] + offsets[1] * high, box[2] + offsets[2] * wide, box[3] + offsets[3] * high]
    )


def longest(box: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    side, x, y = max(box[2] - box[0], box[3] - box[1]), (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2])


@pytest.mark.parametrize("beyond", ["black", "cut"])
def test_the_cascade_is_that_of_loops(beyond: str) -> None:
    shown = [photos()[0][::2, ::2], photos()[3][10:, 20:110]]  # two small faces, and one that is cut off
    found = detector_from_text(f"mtcnn beyond={beyond}")(shown)
    expected = [faces for photo in shown for faces in by_loops(photo, beyond == "cut")]
    assert [len(faces) for faces in expected] == [2, 1]
    same(found, expected)


@settings(deadline=None)
@given(st.lists(st.floats(-40_000, 40_000, width=32), min_size=1))
def test_places_move_to_the_nearest_point_of_the_grid(places: list[float]) -> None:
    given, moved = np.array(places, np.float32), mtcnn.on_grid(np.array(places, np.float32))
    assert moved.dtype == np.float32
    assert (moved * mtcnn.GRID % 1 == 0).all()
    assert (np.abs(moved.astype(float) - given) <= 0.5 / mtcnn.GRID).all()


@pytest.mark.parametrize("most", [mtcnn.MOST_SEARCHED, 60_000], ids=["whole", "smaller"])
def test_faces_lie_on_the_grid(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(mtcnn, "MOST_SEARCHED", most)
    found = detector_from_text("mtcnn")(photos())
    assert all(found)
    for face in (face for faces in found for face in faces):
        assert face.landmarks is not None
        places = np.array([*face.box, *face.landmarks.ravel()])
        assert (places == mtcnn.on_grid(places.astype(np.float32))).all()


def test_memory_bounds_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    detector, shown = detector_from_text("mtcnn"), photos()
    expected = detector(shown)
    monkeypatch.setattr(proposals, "CHUNK", 3000)  # a level in strips
    same(detector(shown), expected)
    monkeypatch.setattr(proposals, "WIDE", 60)  # in tiles
    monkeypatch.setattr(mtcnn, "CHUNK", 3000)  # an O-Net crop at a time
    same(detector(shown), expected)
    monkeypatch.setattr(mtcnn, "LOAD", 1)  # a photo at a time
    same(detector(shown), expected)


def test_a_face_that_the_photo_does_not_hold_whole_needs_the_second_look() -> None:
    face = drawings()[3].photo[14:, 38:92]
    assert detector_from_text("mtcnn second_look=False")([face]) == [()]
    ((found,),) = detector_from_text("mtcnn")([face])
    assert found.box[2] - found.box[0] > face.shape[1]
    assert found.landmarks is not None
    whole = detector_from_text("mtcnn")([drawings()[3].photo])[0][0].landmarks
    assert whole is not None
    assert np.abs(found.landmarks + np.array([38, 14]) - whole).max() < 12


def shown_to_the_first_network(photo: Photo, framed: bool) -> list[tuple[int, int]]:
    """Heights and widths of the pictures that P-Net is given for a photo."""
    sizes = list[tuple[int, int]]()

    def net(pictures: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        sizes.extend([(pictures.shape[1], pictures.shape[2])] * len(pictures))
        return np.full((len(pictures), 5, 1, 1), -np.inf, np.float32)

    proposals.propose(net, IntegralImage.of([photo]), [0], proposals.Search(20, 0.709, 0.6, framed))
    return sizes


@pytest.mark.parametrize("longer", [100, 2000, 65_000])
@pytest.mark.parametrize("shorter", [1, 11, 19, 21, 45])
def test_a_second_look_at_a_strip_is_no_more_than_a_few_looks(shorter: int, longer: int) -> None:
    for size in ((shorter, longer), (longer, shorter)):
        sizes = shown_to_the_first_network(np.zeros((*size, 3), np.uint8), framed=True)
        assert sum(high * wide for high, wide in sizes) <= 8 * shorter * longer


@given(st.integers(1, 90), st.floats(1, 2), st.booleans())
@settings(deadline=None, derandomize=True, max_examples=60)
def test_a_second_look_at_other_photos_is_framed_by_half_of_the_longer_side(shorter: int, ratio: float, upright: bool) -> None:
    longer = int(shorter * ratio)
    height, width = (longer, shorter) if upright else (shorter, longer)
    expected = list[tuple[int, int]]()
    scale = 12 / max(20, shorter / 2)
    while (shorter + 2 * (longer // 2)) * scale >= 12:
        high, wide = (int((side + 2 * (longer // 2)) * scale + 1) for side in (height, width))
        expected.append((high, wide))
        scale *= 0.709
    assert shown_to_the_first_network(np.zeros((height, width, 3), np.uint8), framed=True) == expected


def test_settings_do_what_they_say() -> None:
    shown = photos()
    assert detector_from_text("mtcnn least_face=200 second_look=False")(shown) == [()] * 4
    assert detector_from_text("mtcnn output=1")(shown) == [()] * 4
    assert sum(map(len, detector_from_text("mtcnn output=0.999")(shown))) <= sum(map(len, detector_from_text("mtcnn")(shown)))
    for wrong in ("least_face=5", "factor=1", "propose=2", "beyond=white", "runtime=tf"):
        with pytest.raises(MienError, match=wrong.partition("=")[0]):
            detector_from_text(f"mtcnn {wrong}")


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="real photos are not at hand: ../shared/data/photos")
def test_faces_are_found_in_real_photos() -> None:
    shown = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(PHOTOS.glob("*.jpg"))]
    found = detector_from_text("mtcnn")(shown)
    assert sum(map(bool, found)) >= len(shown) - max(1, len(shown) // 40), "39 of 40, 18 of 19"
    assert sum(map(len, found)) <= len(shown) + 1, "one person each"
    for photo, faces in zip(shown, found, strict=True):
        for face in faces[:1]:
            assert face.area > 0.3 * photo.shape[0] * photo.shape[1], "they were cut around the face"


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="real photos are not at hand: ../shared/data/photos")
def test_real_photos_upside_down_are_turned_and_upright_ones_stay() -> None:
    """Some faces upside down are found with up to 0.92: that must not end the search."""
    upright = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(PHOTOS.glob("*.jpg"))]
    given = upright + [turned(photo, 2) for photo in upright]
    made = in_all_directions(given, detector_from_text("mtcnn"), lost=True)
    assert [quarters for quarters, _ in made] == [0] * len(upright) + [2] * len(upright)


def test_in_a_large_photo_faces_are_looked_for_in_a_smaller_one(monkeypatch: pytest.MonkeyPatch) -> None:
    detector, drawing = detector_from_text("mtcnn least_face=40"), drawings()[2]
    (whole,) = detector([drawing.photo])
    made, of = list[int](), IntegralImage.of

    def watched(given: list[Photo]) -> IntegralImage:
        made.extend(photo.size // 3 for photo in given)
        return of(given)

    monkeypatch.setattr(IntegralImage, "of", staticmethod(watched))
    monkeypatch.setattr(mtcnn, "MOST_SEARCHED", 60_000)
    small, large = detector([drawings()[3].photo, drawing.photo])
    assert max(made) <= 60_000 < drawing.photo.size // 3
    assert drawing.hits(large) == drawing.hits(whole) == [0]
    assert np.abs(np.subtract(large[0].box, whole[0].box)).max() < 8
    assert large[0].landmarks is not None
    assert whole[0].landmarks is not None
    assert np.abs(large[0].landmarks - whole[0].landmarks).max() < 8
    assert len(small) == 1
