"""Photos: real files of every format with bits turned, parts cut, doubled or exchanged, sizes that lie, and bombs."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien.errors import MienError
from mien.faces.crop import CropSpec, crop_faces
from mien.media.face_pictures import read_picture
from mien.media.file_limits import FileLimits
from mien.media.find_source_files import find_source_files
from mien.media.photos_and_frames import read_photos_and_frames

Generator = np.random.Generator

LOOKED_AT = 1_000_000
"""Pixels of photos up to which faces are looked for in them as well."""


def make(generator: Generator, folder: Path) -> None:
    """One photo, `a.jpg` whatever it is."""
    how = [_harmed, _harmed, _harmed, _harmed, _lying, _doubled, _bomb, _crafted]
    content = how[generator.integers(len(how))](generator)
    (folder / f"a{generator.choice(['.jpg', '.png', '.tif', '.webp', '.avif', '.jp2'])}").write_bytes(content)


def read(folder: Path) -> None:
    """As `predict` and `prepare` do; some as `import` does."""
    (path,) = folder.iterdir()
    if path.suffix == ".png":
        read_picture(path, 48, color=True)
        return
    faults = list[Any]()
    for shot in read_photos_and_frames(find_source_files([folder]), 1.0, faults, FileLimits()):
        if shot.pixels.size < 3 * LOOKED_AT:
            crop_faces([shot.pixels], CropSpec("box", "mtcnn", "all"), 48, False)
    if faults:
        raise MienError("a photo", faults[0].reason, "give another")


def begin() -> None:
    """Load the detector."""
    crop_faces([np.zeros((64, 64, 3), np.uint8)], CropSpec("box", "mtcnn", "all"), 48, False)


@cache
def seeds() -> tuple[bytes, ...]:
    """Files of every format and kind of pixels."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    smooth = Image.fromarray(noise).resize((96, 72), Image.Resampling.BICUBIC)
    color, gray, deep = Image.fromarray(noise), smooth.convert("L"), Image.fromarray(noise[..., 0].astype(np.uint16) * 257)
    clear, palette = Image.merge("RGBA", [*smooth.split(), gray]), smooth.quantize(16)
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0"
    made: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (one, "JPEG", {"exif": exif, "progressive": way})
        for one in (smooth, gray, smooth.convert("CMYK"))
        for way in (False, True)
    ]
    made += [(smooth, "JPEG", {"restart_marker_blocks": 2, "comment": b"c" * 90, "subsampling": 0}), (smooth, "MPO", {})]
    made += [(one, "PNG", {}) for one in (color, gray, deep, clear, palette, palette.convert("1"))]
    made += [(palette, "PNG", {"transparency": bytes(range(16)), "exif": exif})]
    made += [(palette, "GIF", {"transparency": 3}), (gray, "GIF", {"save_all": True, "append_images": [gray.rotate(90)]})]
    made += [
        (one, "TIFF", {"compression": way})
        for one in (smooth, gray)
        for way in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
    ]
    made += [
        (deep, "TIFF", {"compression": "tiff_lzw"}),
        (palette.convert("1"), "TIFF", {"compression": "group4"}),
        (clear, "TIFF", {}),
    ]
    made += [(one, "WEBP", {"lossless": way, "exif": exif}) for one in (smooth, clear) for way in (False, True)]
    made += [(clear, "WEBP", {"save_all": True, "append_images": [clear.rotate(90)]})]
    made += [(one, "AVIF", {"exif": exif}) for one in (smooth, clear)]
    made += [(smooth, "AVIF", {"save_all": True, "append_images": [smooth.rotate(90)]})]
    made += [(one, "JPEG2000", {"no_jp2": way, "comment": "c" * 90}) for one in (smooth, gray, clear) for way in (False, True)]
    made += [(deep, "JPEG2000", {}), (smooth, "JPEG2000", {"tile_size": (32, 32), "irreversible": True})]
    made += [(Image.fromarray(np.asarray(deep) >> 6), form, {}) for form in ("PNG", "TIFF", "PPM")]
    made += [(gray, "MPO", {"save_all": True, "append_images": [gray]})]
    made += [(one, "BMP", {}) for one in (smooth, gray, palette.convert("1"))]
    made += [(one, "PPM", {}) for one in (smooth, gray, deep, palette.convert("1"))]
    return (*(_saved(*one) for one in made), *_texts())


def _saved(picture: Image.Image, form: str, options: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def _texts() -> list[bytes]:
    """Formats that Pillow does not write."""
    digits = b" ".join(b"%d" % (n % 256) for n in range(192))
    row = b"\x04\x07\x04\x03\0\0"
    head = struct.pack("<IiiHHIIiiII", 40, 8, 4, 1, 8, 1, 4 * len(row) + 2, 0, 0, 256, 0)
    bmp = b"BM" + struct.pack("<IHHI", 1078 + 4 * len(row) + 2, 0, 0, 1078) + head + bytes(range(256)) * 4 + row * 4 + b"\0\1"
    bright = np.arange(192, dtype=">u2").tobytes()
    return [
        b"P6 8 8 65535\n" + bright,
        png_of(16, 2, bright),
        png_of(16, 6, bright + bright[:128]),
        b"P3\n# c\n8 8 255\n" + digits,
        b"P2 16 12 1000\n" + digits,
        b"P1 8 8\n" + b"10" * 32,
        b"P6 8 8 100\n" + bytes(192),
        bmp,
    ]


def _any(generator: Generator) -> bytearray:
    return bytearray(seeds()[generator.integers(len(seeds()))])


def _harmed(generator: Generator) -> bytes:
    """Bits turned or bytes exchanged, near the beginning or anywhere, and perhaps an end that is missing or noise."""
    made = _any(generator)
    reach = len(made) if generator.random() < 0.5 else min(len(made), 300)
    for _ in range(generator.integers(1, 20)):
        made[generator.integers(reach)] = generator.choice([0, 1, 127, 128, 254, 255, int(generator.integers(256))])
    kind = generator.integers(4)
    if kind == 0:
        made = made[: generator.integers(1, len(made) + 1)]
    elif kind == 1:
        made[generator.integers(len(made)) :] = generator.bytes(300)
    return bytes(made)


def _lying(generator: Generator) -> bytes:
    """Numbers of two or four bytes that are very large, very small or one too many."""
    made = _any(generator)
    for _ in range(generator.integers(1, 4)):
        size, order = generator.choice([2, 4]), generator.choice([">", "<"])
        at = int(generator.integers(max(1, min(len(made), 400) - size)))
        value = int(generator.choice([0, 1, 2**15 - 1, 2**15, 2**16 - 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1, 9999, 65535]))
        made[at : at + size] = struct.pack(order + ("H" if size == 2 else "I"), value % (1 << 8 * size))
    return bytes(made)


def _doubled(generator: Generator) -> bytes:
    """A part once or many times more, left out, or of another file."""
    made, times = _any(generator), int(generator.choice([0, 2, 3, 50, 3000]))
    first, last = sorted(generator.integers(len(made) + 1, size=2).tolist())
    part = made[first : min(last, first + 2000)]
    other = _any(generator) if generator.random() < 0.3 else part
    return bytes(made[:first] + other * times + made[last:])


def chunk(kind: bytes, body: bytes) -> bytes:
    """Of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_of(depth: int, color: int, values: bytes) -> bytes:
    """Of 8 x 8 pixels."""
    rows = len(values) // 8
    body = zlib.compress(b"".join(b"\0" + values[at : at + rows] for at in range(0, 8 * rows, rows)))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, depth, color, 0, 0, 0)) + chunk(b"sBIT", b"\x0a" * 3)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def packed(size: int) -> bytes:
    """So many zeros by Deflate."""
    packer, parts = zlib.compressobj(9), list[bytes]()
    for first in range(0, size, 1 << 20):
        parts.append(packer.compress(bytes(min(1 << 20, size - first))))
    return b"".join(parts) + packer.flush()


def _bomb(generator: Generator) -> bytes:
    """Little that states or makes much."""
    wide, high = ((9000, 9000), (20000, 400), (300_000, 300), (1, 2_000_000), (10_000, 10_001), (65_535, 65_535))[
        generator.integers(6)
    ]
    depth, color = ((8, 2), (16, 6), (1, 0), (16, 0), (8, 3), (8, 4))[generator.integers(6)]
    row = 1 + (wide * depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[color] + 7) // 8
    kind = generator.integers(6)
    if kind < 3:
        body = packed(min(row * high, 800_000_000) if generator.random() < 0.15 else min(row * high, 5_000_000))
        palette = chunk(b"PLTE", bytes(768)) + chunk(b"tRNS", bytes(255)) if color == 3 else b""
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", wide, high, depth, color, 0, 0, int(generator.integers(2))))
        cut = len(body) if kind else max(1, len(body) // 3000)
        idat = b"".join(chunk(b"IDAT", body[at : at + cut]) for at in range(0, len(body), cut))
        return b"\x89PNG\r\n\x1a\n" + head + palette + idat + chunk(b"IEND", b"")
    if kind == 3:
        return scans(generator)
    if kind == 4:
        return _tiff(wide, min(high, 60_000), packed(2_000_000), int(generator.choice([5, 8, 32773, 34925, 50000, 7, 6])))
    return b"P%d %d %d %d\n" % (generator.integers(1, 7), wide, high, generator.choice([1, 255, 300, 65535])) + b"1 " * 100_000


@cache
def _wide() -> bytes:
    return _saved(Image.fromarray(np.full((600, 30_000), 128, np.uint8)), "JPEG", {"progressive": True, "quality": 50})


def scans(generator: Generator) -> bytes:
    """A progressive JPEG that repeats its last scan, perhaps in another guise."""
    made, times = _wide(), int(generator.choice([1, 20, 90, 200, 2000]))
    last = made[made.rfind(b"\xff\xda") : -2]
    between = (b"", b"\xff\xfe\0\x06\xff\xd9ab", b"\xff\x02\x01\0", b"\xff\xff\xff", b"\xff\xd9")[generator.integers(5)]
    return made[:-2] + (between + last) * times + made[-2:]


def _tiff(wide: int, high: int, body: bytes, how: int) -> bytes:
    """One strip for each row or for all, which may all lie at the same place."""
    strips = high if high * 8 < 500_000 else 1
    at = 8 + len(body)
    places = struct.pack(f"<{strips}L", *([8] * strips)) + struct.pack(f"<{strips}L", *([len(body)] * strips))
    values = [(256, wide), (257, high), (258, 8), (259, how), (262, 1), (277, 1), (278, -(-high // strips))]
    entries = [struct.pack("<HHLL", tag, 4, 1, value) for tag, value in values]
    outside = strips > 1
    entries.insert(5, struct.pack("<HHLL", 273, 4, strips, at if outside else 8))
    entries.append(struct.pack("<HHLL", 279, 4, strips, at + 4 * strips if outside else len(body)))
    directory = struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    return b"II*\0" + struct.pack("<L", at + len(places)) + body + places + directory


def _crafted(generator: Generator) -> bytes:
    """What takes long to look through, or ends nowhere."""
    many = int(generator.choice([1000, 100_000, 2_000_000]))
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
    bmp = b"BM" + struct.pack("<IHHIIiiHHIIiiII", 99, 0, 0, 1078, 40, 9000, 9000, 1, 8, 1, 0, 0, 0, 256, 0) + bytes(1024)
    gif = b"GIF89a\x10\0\x10\0\x80\0\0" + bytes(6)
    webp = b"RIFF" + struct.pack("<I", many) + b"WEBPVP8X" + struct.pack("<I", 10) + generator.bytes(10)
    made: list[Callable[[], bytes]] = [
        lambda: b"\xff\xd8" + b"\xff" * many,
        lambda: b"\xff\xd8\xff\xe0\0\2" + b"\xff\x01" * many,
        lambda: b"\xff\xd8\xff" + b"a" * many,
        lambda: _wide()[:600] + b"\xff\xfe\0\2" * many + _wide()[600:],
        lambda: gif + b"!\xfe" + (b"\xff" + b"a" * 255) * (many // 100) + b"\0",
        lambda: gif + b"!\x01\0" * many,
        lambda: b"GIF89a\xff\xff\x01\0\x80\0\0" + bytes(6) + b",\0\0\0\0\xff\xff\xff\x3f\0\x08" + b"\xff" * many,
        lambda: png + chunk(b"IDAT", b"") * (many // 10),
        lambda: b"P2 #" + b"a" * many,
        lambda: b"P3 2000 2000 255\n" + b"#\n" * many,
        lambda: b"P1 9999 9999 " + b"1" * many,
        lambda: b"P5 9000 9000 17\n" + bytes(many),
        lambda: b"II*\0\x08\0\0\0\xff\xff" + struct.pack("<HHLL", 256, 4, 1, 9) * 65535 + bytes(4),
        lambda: webp + b"ANMF" * (many // 4),
        lambda: bmp + b"\x01\x01" * many,
        lambda: generator.bytes(int(generator.integers(1, 3000))),
    ]
    return made[generator.integers(len(made))]()
