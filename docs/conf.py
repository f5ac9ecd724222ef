"""The site: Sphinx reads these pages as Markdown (MyST), the API reference from docstrings, the tutorials from their notebooks.

Sphinx and not MkDocs: the docstrings are in Sphinx's roles already, its own warnings catch a reference that leads nowhere, and its
search runs in the reader's browser without a server. Formulas are MathML, which browsers set by themselves.
``make docs`` builds it; a warning is an error and nothing is fetched.
"""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE / "_site"))

from pnpsr.version import VERSION  # noqa: E402

project, author, release, version = "pnpsr", "The pnpsr developers", VERSION, VERSION
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "generated", "mathml"]
root_doc = "index"
exclude_patterns = ["_site"]
suppress_warnings = [
    "toc.not_included"
]  # the tables of results are found from their index; a test holds all other pages to the contents

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4  # links into a page name its headings as GitHub does
myst_links_external_new_tab = False
nb_execution_mode = "off"  # notebooks are shown as they are; ``make notebooks`` runs them
html_math_renderer = "mathml"

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_class_signature = "mixed"
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_attr_annotations = False
nitpicky = True  # :func: and its kind must lead somewhere; types of annotations are mostly other people's
nitpick_ignore_regex = [("py:class", ".*")]
python_display_short_literal_types = True
toc_object_entries = False

html_theme = "furo"
html_title = f"pnpsr {VERSION}"
html_favicon = "_site/static/icon.svg"
html_static_path = ["_site/static"]
html_css_files = ["pnpsr.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": True}
html_use_opensearch = ""
