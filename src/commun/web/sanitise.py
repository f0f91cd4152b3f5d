"""The last step of everything that came from a model: an allow-list of tags, attributes and values (nh3).

What is made before this is meant to be safe already (no HTML is taken from Markdown, every text is escaped); this list
holds if that is ever wrong. It lets through no id, style, event handler, htmx attribute, form or image, only the
classes that our own renderer writes, and links that leave with no word about where they come from.
"""

import nh3

from commun.web.highlight import CLASS_NAMES
from commun.web.maths import MATHML_ATTRIBUTES, MATHML_TAGS

URL_SCHEMES = frozenset({"http", "https", "mailto"})

_TAGS = """
a blockquote br code del div em figcaption figure h3 h4 h5 h6 hr input label li ol p pre s span strong table tbody
td th thead tr ul
"""
TAGS = frozenset(_TAGS.split())
CLASSES = {
    "a": {"image"},
    "code": {"latex", "open"},
    "div": {"math", "math-block", "table"},
    "figure": {"code"},
    "input": {"task-list-item-checkbox"},
    "li": {"task-list-item"},
    "mrow": {"boxed"},
    "ol": {"contains-task-list"},
    "span": {"math", "math-inline", "math-display", "image", "lang", "copy", *CLASS_NAMES},
    "td": {"left", "center", "right"},
    "th": {"left", "center", "right"},
    "ul": {"contains-task-list"},
}
ATTRIBUTES = {
    "a": {"href", "title", "data-src"},
    "input": {"checked"},
    "math": {"alttext"},
    "ol": {"start"},
    **{tag: set(MATHML_ATTRIBUTES) for tag in MATHML_TAGS - {"math"}},
}
VALUES = {
    "div": {"tabindex": {"0"}},
    "math": {"display": {"block", "inline"}},
    "pre": {"tabindex": {"0"}},
    **{tag: {"dir": {"auto"}} for tag in ("p", "li", "h3", "h4", "h5", "h6", "td", "th")},
}
FIXED = {
    "a": {"target": "_blank"},
    "input": {"type": "checkbox", "disabled": ""},
}

_cleaner = nh3.Cleaner(
    tags=set(TAGS | MATHML_TAGS),
    attributes=ATTRIBUTES,
    tag_attribute_values=VALUES,
    set_tag_attribute_values=FIXED,
    allowed_classes=CLASSES,
    url_schemes=set(URL_SCHEMES),
    url_relative="deny",
    link_rel="noopener noreferrer nofollow",
    clean_content_tags={"script", "style", "title", "template"},
)


def clean(html: str) -> str:
    """``html`` with everything gone that is not on the lists; well-formed, so that pieces can be joined."""
    return _cleaner.clean(html)
