"""A schedule that moves: `explore()` in JupyterLab, and the same as a page of the site; everything is computed in the browser.

`theory.js` has the schedules and the bound, `update.js` what happens when a slider moves, `plots` the pictures and their widgets.
"""

from lastiterate.companion.explorer.plots import FAMILIES, Parts, explore, parts, pieces

__all__ = ["FAMILIES", "Parts", "explore", "parts", "pieces"]
