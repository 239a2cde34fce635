"""The parts of matplotlib that mien draws with; it is imported nowhere else.

matplotlib keeps a list of fonts. Imported here, it keeps the list in mien's cache, unless MPLCONFIGDIR names another place.
"""

import os

from mien.telemetry import changed_environment, own_cache

_PLACES = {
    "MPLCONFIGDIR": os.environ.get("MPLCONFIGDIR") or str(own_cache() / "matplotlib"),
    "XDG_CACHE_HOME": str(own_cache()),  # of fontconfig, which it asks for fonts
}
with changed_environment(_PLACES):
    from matplotlib import colormaps
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from matplotlib.ticker import MaxNLocator, PercentFormatter

__all__ = ["Axes", "Figure", "MaxNLocator", "PercentFormatter", "Text", "colormaps"]
