"""Every kind of neighbor against one contract, and each against a naive reference."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Generator, Tensor
from typing_extensions import override

from conftest import bright_faces
from mien import FaceSet, MienError
from mien.cli.options import NEIGHBORS
from mien.data.format import Info
from mien.data.near_duplicates import find_near_duplicates
from mien.data.views import Views
from mien.neighbors.choose import ROOM, kind_from, kind_from_text, names_kind, with_sigma
from mien.neighbors.kinds import Fitted, Ground, Kind
from mien.neighbors.kinds.autoencoder import Autoencoder
from mien.neighbors.kinds.frames import frames_beside
from mien.neighbors.kinds.pca import leading_components
from mien.neighbors.look import draw_neighbors
from mien.neighbors.semantic_neighbors import SemanticNeighbors
from mien.registry import component_names, find_component
from mien.settings import setting_docs
from moving import moving_faces, untrained_autoencoder
from runs import features

CPU = torch.device("cpu")
KINDS = component_names(ROOM)


def with_twins() -> FaceSet:
    """Faces of which the first six come three times, brightened; they have sequences as well."""
    moving = moving_faces(6, side=32)
    pixels = np.random.default_rng(0).integers(0, 200, (len(moving), 32, 32), dtype=np.uint8)
    lines = np.kron(np.random.default_rng(1).integers(0, 200, (len(moving), 8, 8)), np.ones((4, 4))).astype(np.uint8)
    pixels = pixels // 8 + lines // 2
    pixels[6:12], pixels[12:18] = pixels[:6] + 3, pixels[:6] + 6
    columns = {name: moving.values(name) for name in ("sequence", "subject", "frame", "split")}
    return FaceSet.from_arrays(pixels, moving.labels, moving.classes, columns)


def ground(faces: FaceSet, tmp_path: Path | None = None, **changed: Any) -> Ground:
    def autoencoder(given: str | Mapping[str, Any]) -> SemanticNeighbors:
        assert tmp_path is not None
        return SemanticNeighbors.load(untrained_autoencoder(tmp_path / "nb", faces.info), CPU)

    plain: dict[str, Any] = {
        "faces": faces,
        "around": faces,
        "views": Views(faces.info),
        "device": CPU,
        "autoencoder": autoencoder,
    }
    return Ground(**(plain | changed))


def drawn(fitted: Fitted, faces: FaceSet, draws: int, seed: int = 3, rows: Tensor | None = None) -> Tensor:
    rows = torch.arange(len(faces)) if rows is None else rows
    given = torch.from_numpy(faces.faces(rows.numpy()))
    if fitted.among == "features":
        given = given.float().flatten(1)
    return fitted.near(rows, given, draws, Generator().manual_seed(seed))


def unit(faces: FaceSet) -> Tensor:
    return torch.from_numpy(faces.faces()).float()[:, None] / 255


@pytest.mark.parametrize("name", KINDS)
def test_keeps_the_contract(name: str, tmp_path: Path) -> None:
    """Shapes, range, seeds; a batch of one; the batch's order; faces stay as they are."""
    faces = with_twins()
    fitted = kind_from(name).fit(ground(faces, tmp_path))
    before = faces.faces().copy()
    found = drawn(fitted, faces, 3)
    assert len(found) == (3 if fitted.varies else 1)
    assert found.shape[1:] == ((len(faces), 1, 32, 32) if fitted.among == "faces" else (len(faces), 32 * 32))
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    if fitted.among == "faces":
        assert 0 <= found.min() <= found.max() <= 1
    assert torch.equal(found, drawn(fitted, faces, 3)), "the seed decides"
    assert torch.equal(drawn(kind_from(name).fit(ground(faces, tmp_path)), faces, 3), found), "fitted again, they are the same"
    assert torch.equal(found, drawn(fitted, faces, 3, seed=4)) == (not fitted.varies)
    if fitted.varies:
        assert (found[0] != found[1]).any(), "draws differ"
    one = drawn(fitted, faces, 2, rows=torch.tensor([7]))
    assert one.shape[1:] == (1, *found.shape[2:])
    assert (faces.faces() == before).all()
    assert fitted.told
    assert fitted.passes >= 0


@pytest.mark.parametrize("name", KINDS)
def test_is_documented_and_named_in_the_help(name: str) -> None:
    kind = find_component(ROOM, name)
    assert kind.__doc__
    assert kind.fit.__doc__
    assert all(setting_docs(kind).values())
    assert name in NEIGHBORS


@pytest.mark.parametrize("name", ["views", "mirror", "pca", "autoencoder"])
def test_color_faces_have_neighbors_in_color(name: str, tmp_path: Path) -> None:
    faces = FaceSet.from_arrays(
        np.random.default_rng(0).integers(0, 255, (9, 16, 16, 3), np.uint8), np.arange(9) % 3, list("abc")
    )
    found = drawn(kind_from(name).fit(ground(faces, tmp_path)), faces, 2)
    assert found.shape[1:] == (9, 3, 16, 16)
    assert 0 <= found.min() <= found.max() <= 1


# Each against a naive reference.


def test_moves_of_nothing_are_the_faces() -> None:
    faces = bright_faces(12)
    still = {"kind": "views", "rotation": 0, "shift": 0, "zoom": 0, "contrast": 0, "brightness": 0}
    assert torch.allclose(drawn(kind_from(still).fit(ground(faces)), faces, 2), unit(faces).expand(2, -1, -1, -1, -1), atol=1e-5)
    lit = drawn(kind_from(still | {"brightness": 0.1}).fit(ground(faces)), faces, 1)[0] - unit(faces)
    inside = (unit(faces) > 0.11) & (unit(faces) < 0.89)
    for change, kept in zip(lit, inside, strict=True):
        assert change[kept].std() < 1e-5, "all of a face by the same"
    assert lit.abs().max() <= 0.1 + 1e-5


def test_shifts_stay_within_their_bound() -> None:
    """A bright column moves by at most a tenth of the side."""
    pixels = np.zeros((64, 20, 20), np.uint8)
    pixels[:, :, 9:11] = 200
    faces = FaceSet.from_arrays(pixels)
    shift = {"kind": "views", "rotation": 0, "shift": 0.1, "zoom": 0, "contrast": 0, "brightness": 0}
    found = drawn(kind_from(shift).fit(ground(faces)), faces, 4).flatten(0, 1)[:, 0]
    across = found.sum(dim=1) @ torch.arange(20.0) / found.sum(dim=(1, 2))
    assert (across - 9.5).abs().max() <= 2 + 1e-4
    assert (across - 9.5).abs().max() > 1


def test_mirror_images_are_the_faces_turned() -> None:
    faces = bright_faces(9)
    assert torch.equal(drawn(kind_from("mirror").fit(ground(faces)), faces, 5)[0], unit(faces).flip(3))


def test_components_are_those_of_the_covariance() -> None:
    generator = np.random.default_rng(0)
    turned = np.linalg.qr(generator.normal(size=(6, 6)))[0]
    rows = torch.from_numpy(generator.normal(size=(200, 6)) @ np.diag([5, 4, 3, 0.5, 0.2, 0.1]) @ turned)
    rows = (rows - rows.mean(dim=0)).float()
    components, deviation = leading_components(rows, 3)
    values, axes = torch.linalg.eigh(rows.T @ rows / len(rows))
    assert torch.allclose(deviation, values.flip(0)[:3].sqrt(), rtol=1e-4)
    assert torch.allclose((components.T @ axes.flip(1)[:, :3]).abs(), torch.eye(3), atol=1e-3)
    state = torch.get_rng_state()
    again, _ = leading_components(rows, 3)
    assert torch.equal(again, components)
    assert torch.equal(torch.get_rng_state(), state), "torch's own generator is left alone"
    flat, nothing = leading_components(torch.zeros(5, 4), 3)
    assert (flat.shape, nothing.shape) == ((4, 0), (0,))


@pytest.mark.parametrize("residual", [True, False])
def test_neighbors_by_components_are_those_of_a_loop(residual: bool) -> None:
    faces = bright_faces(60)
    fitted: Any = kind_from({"kind": "pca", "components": 5, "sigma": 0.4, "residual": residual}).fit(ground(faces))
    flat = unit(faces).flatten(1)
    found, noise = drawn(fitted, faces, 2), torch.randn(2, 60, 5, generator=Generator().manual_seed(3))
    for draw in range(2):
        for row in range(60):
            code = [float((flat[row] - fitted.mean) @ fitted.components[:, n]) for n in range(5)]
            moves = sum(0.4 * fitted.deviation[n] * noise[draw, row, n] * fitted.components[:, n] for n in range(5))
            back = fitted.mean + sum(code[n] * fitted.components[:, n] for n in range(5))
            wanted = ((flat[row] if residual else back) + moves).clamp(0, 1)
            assert torch.allclose(found[draw, row].flatten(), wanted, atol=1e-4)


@pytest.mark.parametrize("residual", [True, False])
def test_neighbors_by_an_autoencoder_are_those_of_its_parts(residual: bool, tmp_path: Path) -> None:
    faces = bright_faces(12)
    fitted = kind_from({"kind": "autoencoder", "sigma": 0.7, "residual": residual}).fit(ground(faces, tmp_path))
    made = SemanticNeighbors.load(tmp_path / "nb", CPU)
    codes = made.codes(torch.from_numpy(faces.faces()))
    noise = 0.7 * made.deviation * torch.randn(12, 8, generator=Generator().manual_seed(3))
    moved = made.faces(codes + noise)
    wanted = (unit(faces) + moved - made.faces(codes)).clamp(0, 1) if residual else moved
    assert torch.allclose(drawn(fitted, faces, 1)[0], wanted, atol=1e-6)
    assert fitted.itself(torch.from_numpy(faces.faces())) is None
    reconstruction = kind_from({"kind": "autoencoder", "against": "reconstruction"}).fit(ground(faces, tmp_path))
    itself = reconstruction.itself(torch.from_numpy(faces.faces()))
    assert itself is not None
    assert torch.equal(itself, made.faces(codes))


def test_what_is_blurred_falls_out(tmp_path: Path) -> None:
    """Of almost no noise, a residual neighbor is the face, whatever the autoencoder makes of it."""
    faces = bright_faces(12)
    for kind in ({"kind": "autoencoder"}, {"kind": "pca", "components": 2}):
        near = drawn(kind_from(kind | {"residual": True, "sigma": 1e-6}).fit(ground(faces, tmp_path)), faces, 1)[0]
        assert torch.allclose(near, unit(faces), atol=1e-3)
        blurred = drawn(kind_from(kind | {"residual": False, "sigma": 1e-6}).fit(ground(faces, tmp_path)), faces, 1)[0]
        assert (blurred - unit(faces)).abs().mean() > 0.02


def test_features_get_noise_by_their_deviation() -> None:
    values = torch.randn(4000, 3, generator=Generator().manual_seed(0)) * torch.tensor([1.0, 10.0, 0.0])
    faces = features(4000, dimension=3)
    fitted = kind_from({"kind": "features", "sigma": 0.5}).fit(ground(faces))
    noise = fitted.near(torch.arange(4000), values, 1, Generator().manual_seed(0))[0] - values
    assert noise.std(dim=0).tolist() == pytest.approx([0.5, 5.0, 0.0], rel=0.05)
    of_all = kind_from("features").fit(ground(faces, features=lambda stored: stored[:, 0].float()))
    assert fitted.among == of_all.among == "features"
    few = of_all.near(torch.arange(2), torch.zeros(2, 3), 1000, Generator().manual_seed(0)).std(dim=(0, 1))
    assert few.numpy() == pytest.approx(0.22 * np.std(faces.faces()[:, 0].astype(np.float32), axis=0), rel=0.1)


@pytest.mark.parametrize("within", [1, 2, 9])
def test_frames_beside_a_frame_are_those_of_a_loop(within: int) -> None:
    """In any order of rows; frames without a number and faces without a sequence stand alone."""
    moving = moving_faces(4)
    order = np.random.default_rng(0).permutation(len(moving))
    mixed = moving.select(order)
    sequence = [None if row == 3 else name for row, name in enumerate(mixed.values("sequence"))]
    frame = [None if row == 5 else 2 * int(number) for row, number in enumerate(mixed.values("frame"))]
    faces = mixed.with_column("sequence", sequence).with_column("frame", frame)
    keys = list(zip(mixed.values("subject"), sequence, strict=True))
    wanted = set()
    for one, key in enumerate(keys):
        mine = sorted((frame[row], row) for row, other in enumerate(keys) if other == key and key[1] and frame[row] is not None)
        at = [place for place, (_, row) in enumerate(mine) if row == one]
        wanted |= {(one, row) for place, (_, row) in enumerate(mine) if at and 0 < abs(place - at[0]) <= within}
    found = frames_beside(faces, within)
    assert sorted(zip(*(rows.tolist() for rows in found), strict=True)) == sorted(wanted)


def test_frames_are_drawn_from_all_around_by_their_ids() -> None:
    """Of a view of every third face the others are neighbors; a face alone is its own."""
    moving = moving_faces(4)
    view = moving.select(np.arange(0, len(moving), 3))
    fitted = kind_from("frames").fit(ground(view, around=moving))
    found = (drawn(fitted, view, 40) * 255).round().to(torch.uint8)[:, :, 0].numpy()
    ids = {name: row for row, name in enumerate(moving.values("id"))}
    pairs = list(zip(*(rows.tolist() for rows in frames_beside(moving, 1)), strict=True))
    pixels = moving.faces()
    for place, name in enumerate(view.values("id")):
        beside = [other for one, other in pairs if one == ids[name]]
        shown = {face.tobytes() for face in found[:, place]}
        assert shown == {pixels[other].tobytes() for other in beside}, "each of them, sooner or later, and nothing else"
    strangers = view.with_column("id", [f"other{row}" for row in range(len(view))])
    mixed = view.select([0]).join(strangers)
    near = drawn(kind_from("frames").fit(ground(mixed, around=moving)), mixed, 1)[0]
    assert not torch.equal(near[0], unit(view)[0])
    assert torch.equal(near[1:], unit(view)), "faces that are not there are their own neighbors"


def test_twins_are_the_near_duplicates_of_the_set() -> None:
    faces = with_twins()
    fitted = kind_from("twins").fit(ground(faces))
    pairs = find_near_duplicates(faces).pairs.rows
    assert {(row, row + 6) for row in range(6)} <= set(map(tuple, pairs.tolist()))
    found = (drawn(fitted, faces, 10) * 255).round().to(torch.uint8)[:, :, 0].numpy()
    for row in range(len(faces)):
        others = [b if a == row else a for a, b in pairs.tolist() if row in (a, b)] or [row]
        assert {face.tobytes() for face in found[:, row]} <= {faces.faces()[other].tobytes() for other in others}
    assert "18 of 36 faces have one" in fitted.told


def test_cached_features_have_the_views_that_they_were_given() -> None:
    info = Info(("a", "b"), "features", channels=4, views=("clean", "mirror", "weak"))
    values = np.random.default_rng(0).normal(size=(10, 3, 4)).astype(np.float16)
    faces = FaceSet.from_arrays(values, np.arange(10) % 2, info=info)
    assert torch.equal(drawn(kind_from("mirror").fit(ground(faces)), faces, 1)[0], torch.from_numpy(values[:, 1]).float())
    found = drawn(kind_from("views").fit(ground(faces)), faces, 20)
    stored = torch.from_numpy(values).float()
    assert all((found[:, row, None] == stored[row]).all(dim=2).any(dim=1).all() for row in range(10))


# What cannot be.


@pytest.mark.parametrize(
    ("name", "faces", "told"),
    [
        ("frames", bright_faces, "in the columns sequence and frame; found no column sequence"),
        ("frames", lambda: moving_faces(2).with_column("sequence", [""] * 12), "sequences of two frames or more"),
        ("twins", bright_faces, "faces that have near-duplicates; found none within 10 bits"),
        ("twins", features, "faces, whose pixels make neighbors; found features"),
        ("pca", features, "faces, whose pixels make neighbors; found features"),
        ("pca", lambda: bright_faces(1), "two faces or more"),
        ("autoencoder", features, "faces, whose pixels make neighbors; found features"),
        ("views", features, "cached features with a weak view; found clean"),
    ],
)
def test_faces_without_such_neighbors_are_refused(name: str, faces: Callable[[], FaceSet], told: str, tmp_path: Path) -> None:
    with pytest.raises(MienError, match=told):
        kind_from(name).fit(ground(faces(), tmp_path))


def test_a_feature_alone_has_no_deviation() -> None:
    with pytest.raises(MienError, match="two faces or more, to know how features vary; found 1"):
        kind_from("features").fit(ground(features(1), features=lambda stored: stored[:, 0].float()))


def test_ids_that_several_faces_share_are_refused() -> None:
    moving = moving_faces(2)
    with pytest.raises(MienError, match="one face of each id"):
        kind_from("frames").fit(ground(moving, around=moving.join(moving)))


@dataclass(frozen=True)
class Blurred(Kind):
    """A kind of somebody's own, whose `sigma` is no noise."""

    sigma: float = 1.0

    @override
    def fit(self, ground: Ground) -> Fitted:
        raise NotImplementedError


@dataclass(frozen=True)
class Flat(Fitted):
    """Neighbors of somebody's own in another shape than that of the faces."""

    made: Any

    @property
    @override
    def told(self) -> str:
        return "flat ones"

    @override
    def near(self, rows: Tensor, given: Tensor, draws: int, generator: Generator) -> Tensor:
        made: Tensor = self.made
        return made


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (torch.zeros(4, 1, 16, 16), r"a float32 one \(4, 1, 16, 16\)"),
        (torch.zeros(3, 4, 1, 16, 16), r"a float32 one \(3, 4, 1, 16, 16\)"),
        (torch.zeros(2, 4, 1, 16, 16, dtype=torch.uint8), r"a uint8 one .*"),
        (None, "None"),
    ],
)
def test_neighbors_of_a_wrong_shape_are_told(made: Any, told: str) -> None:
    faces = bright_faces(4)
    given = (Views(faces.info), torch.arange(4), torch.from_numpy(faces.faces()), 2, Generator())
    with pytest.raises(MienError, match=rf"a tensor \(2, 4, 1, 16, 16\) of floats from Flat.near; found {told}; mend"):
        draw_neighbors(Flat(made), *given)


def test_an_autoencoder_costs_a_pass_more(tmp_path: Path) -> None:
    faces = with_twins()
    costs = {name: kind_from(name).fit(ground(faces, tmp_path)).passes for name in KINDS}
    assert costs.pop("autoencoder") == 2
    assert costs.pop("features") == 0
    assert set(costs.values()) == {1}


def test_kinds_by_name_by_table_and_as_they_are_typed() -> None:
    assert kind_from("views") == kind_from({"kind": "views"}) == kind_from_text("views")
    assert kind_from_text("views shift=0.05 rotation=3") == kind_from({"kind": "views", "shift": 0.05, "rotation": 3})
    assert with_sigma(kind_from("pca"), 0.5) == kind_from({"kind": "pca", "sigma": 0.5})
    assert with_sigma(kind_from("mirror"), None) == kind_from("mirror")
    assert all(map(names_kind, ("views", "pca sigma=0.3", "own.room:Mine")))
    assert not any(map(names_kind, ("views of me", "folder", "/a:b/views", "")))
    for given, told in (
        ("view", "one of autoencoder, features, frames, mirror, pca, twins, views"),
        ({"kind": "views", "shfit": 1}, "shfit"),
        ({"shift": 0.1}, "add kind"),
        ({"kind": "pca", "sigma": 0}, "sigma"),
        ({"kind": "autoencoder", "residual": True, "against": "reconstruction"}, "both"),
    ):
        with pytest.raises(MienError, match=told):
            kind_from(given)
    with pytest.raises(MienError, match="made by noise, for sigma; found views"):
        with_sigma(kind_from("views"), 0.3)
    with pytest.raises(MienError, match="made by noise, for sigma; found blurred"):
        with_sigma(Blurred(), 0.3)
    assert [kind_from({"kind": name, "sigma": 0.3}).noise for name in ("autoencoder", "pca", "features")] == [0.3] * 3
    assert kind_from("mirror").noise is None
    assert Autoencoder().source == "small"
