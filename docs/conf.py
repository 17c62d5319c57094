"""Settings of Sphinx. `python -m sphinx -W --keep-going docs build/site` builds the site (extra `docs`)."""

from __future__ import annotations

from importlib.metadata import version as installed_version
from typing import Any

from docutils.nodes import Node
from sphinx.util.docutils import SphinxDirective

from flairlite import datasets
from flairlite.datasets.prepared import PreparedCorpus
from flairlite.datasets.treebanks import Treebank

project = "flairlite"
copyright = "the flairlite developers"
release = version = installed_version("flairlite")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
# names in backticks link to the reference where there is one, and are code otherwise
default_role = "py:obj"

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
smartquotes = False  # messages are searched as they are printed

autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_maximum_signature_line_length = 88

html_theme = "furo"
html_title = "flairlite"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
copybutton_selector = "div:not(.highlight-text) > div.highlight > pre"  # code, not what it prints


def keep_colons(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put an empty comment before the docstring of a property, for napoleon takes a text before a colon as its type."""
    if what in ("property", "attribute", "data"):
        lines[:0] = ["..", ""]


class PreparedCorpora(SphinxDirective):
    """Describes the corpora that are rows of tables, and so have no docstrings."""

    def run(self) -> list[Node]:
        """Return an entry for each corpus."""
        corpora = {name: getattr(datasets, name) for name in sorted(datasets.__all__)}
        lines = [".. py:currentmodule:: flairlite.datasets", ""]
        for name, corpus in corpora.items():
            if isinstance(corpus, Treebank):
                text = f"The treebank {corpus.repository} of Universal Dependencies, release {corpus.release}."
            elif isinstance(corpus, PreparedCorpus):
                text = f"{corpus.repository or 'Files that cannot be downloaded'}; licence: {corpus.licence}."
            else:
                continue
            lines += [f".. py:data:: {name}", "", f"   {text}", ""]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Any) -> None:
    """Register the directive, and the function that changes docstrings, to be called before napoleon's."""
    app.add_directive("prepared-corpora", PreparedCorpora)
    app.connect("autodoc-process-docstring", keep_colons, priority=400)
