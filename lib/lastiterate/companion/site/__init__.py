"""The reading room: pages made from the committed notebooks, the list of figures, the claims and the docstrings; nothing is run.

`articles` makes a page of a notebook, `pages` writes the others, `pictures` the figures at two sizes, `mathematics` draws
formulas when the pages are built, `build` puts it together with Sphinx (`make site`).
"""
