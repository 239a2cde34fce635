"""All files of the page for a model: scripts, styles, onnxruntime-web, the networks and the settings. None is from elsewhere."""

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources

from mien.browser.page_settings import page_settings
from mien.browser.vendored import WASM, require_vendored, vendored_texts, wasm
from mien.faces.crop import CropSpec
from mien.faces.mtcnn.networks import FOLDER, NETWORKS
from mien.json_text import to_json
from mien.recognize.model_card import ModelCard
from mien.recognize.model_folder import GRAPH, WEIGHTS

INDEX = "index.html"
"""The page itself; all other files lie in the folder `app` beside it."""
KINDS = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
    ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".json": "application/json",
    ".wasm": "application/wasm", ".txt": "text/plain; charset=utf-8",
}  # fmt: skip
"""Media types by ending; other files are `application/octet-stream`."""
CONTENT = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self' blob:; connect-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; base-uri 'none'; form-action 'none'"
)
"""The page's content policy: it loads its own files alone, and sends nothing."""
POLICY = b"{content}"
"""What stands for the content policy in the page, for servers that send no headers of ours."""
NAMED = re.compile(r"((?:[a-z0-9-]+\.)*[a-z0-9-]*[a-z-][a-z0-9-]*|127\.0\.0\.1)(:[0-9]+)?", re.IGNORECASE)
"""The addresses that a content policy can name: host names, and no number of a machine but this one."""
HEADERS = {
    # With these two a browser lets WebAssembly have threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
    "Cache-Control": "no-cache",
}
"""The headers of all files of the page, beside the content policy."""


def content_policy(host: str, path: str = "") -> str:
    """The policy of the page that is shown at `host`, such as `localhost:8080`: it may ask for files in its folder `app` alone.

    `path`: the path below which a proxy may show it. Where a policy cannot name the host, all of the address may be asked.
    """
    said = f"{CONTENT}; frame-ancestors 'none'"
    if not NAMED.fullmatch(host):
        return said
    own = " ".join(f"{host}{start}/app/" for start in dict.fromkeys(("", path)))
    return said.replace("connect-src 'self'", f"connect-src {own}")


@dataclass(frozen=True)
class PageFile:
    """A file of the page."""

    name: str
    """Its path from the page's folder, with slashes."""
    content: bytes
    """What it holds."""
    digest: str
    """What tells it from other versions of it: made once, as WebAssembly is large."""
    packed: Mapping[str, bytes] = field(default_factory=dict)
    """The same content by content coding, such as `gzip`, where that is smaller."""

    @property
    def kind(self) -> str:
        """Its media type."""
        ending = self.name[self.name.rfind(".") :]
        return KINDS.get(ending, "application/octet-stream" if "." in self.name else KINDS[".txt"])

    def tag(self, coding: str = "") -> str:
        """What tells the file, as it is sent in this coding, from others (ETag)."""
        return f'"{self.digest}-{coding}"' if coding else f'"{self.digest}"'


def page_files(
    card: ModelCard, crop_spec: CropSpec, network: tuple[bytes, bytes], name: str, packed: bool = True
) -> dict[str, PageFile]:
    """The files of the page by their names, for a model with this card.

    `network`: the graph of ONNX, and the weights beside it. `packed`: compressed as well, for sending them.
    Raises MienError where onnxruntime-web is not there, and for a model that the page cannot show.
    """
    require_vendored()
    settings = to_json(page_settings(card, crop_spec, name)).encode()
    own = resources.files("mien.browser") / "page"
    files = {INDEX: (own / INDEX).read_bytes().replace(POLICY, CONTENT.encode())}
    files |= {f"app/{one.name}": one.read_bytes() for one in own.iterdir() if one.name != INDEX and one.is_file()}
    files |= {f"app/vendor/{one}": content for one, content in vendored_texts().items()}
    files |= {f"app/model/{one}.onnx": (FOLDER / f"{one}.onnx").read_bytes() for one in NETWORKS}
    graph, weights = network
    files |= {"app/model/settings.json": settings, f"app/model/{GRAPH}": graph, f"app/model/{WEIGHTS}": weights}
    files[program := f"app/vendor/{WASM}"] = wasm()
    codings = {one: _packed(one, content) for one, content in files.items() if one != program} if packed else {}
    if packed:
        codings[program] = {"br": wasm("br"), "gzip": wasm("gzip")}
    return {one: PageFile(one, content, _digest(content), codings.get(one, {})) for one, content in files.items()}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _packed(name: str, content: bytes) -> dict[str, bytes]:
    if name.endswith(WEIGHTS):  # numbers hardly get smaller
        return {}
    packed = gzip.compress(content, 9, mtime=0)
    return {"gzip": packed} if len(packed) < len(content) else {}
