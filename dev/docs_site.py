"""MkDocs' hook for `make docs`: README.md and its neighbours become pages, and no page loads anything from elsewhere.

The documents are read on GitHub too, so their links are those of the repository. Here a link to a page leads to the
page, and a link to a source file, for which the site has no page, becomes its text.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File

ROOT = Path(__file__).resolve().parent.parent
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security-policy.md",
    "CHANGELOG.md": "changelog.md",
}
_SOURCES = {page: source for source, page in PAGES.items()}
_LINK = re.compile(r"\[(?P<text>[^\[\]]+)\]\((?P<target>[^()#\s]+)(?P<anchor>#[^()\s]*)?\)")
_LOADS = re.compile(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"(?:https?:)?//|<link\b[^>]*\bhref=\"(?:https?:)?//")


def on_files(files: Any, config: Any) -> Any:
    """Add the documents at the root of the repository."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Make the repository's links those of the site."""
    uri = page.file.src_uri
    source = _SOURCES.get(uri, f"docs/{uri}")
    return _LINK.sub(lambda link: _on_site(link, source, uri), markdown)


def on_post_build(config: Any) -> None:
    """Check that the pages can be read without a network.

    :raises PluginError: naming the page that loads something from another host
    """
    for page in Path(config.site_dir).rglob("*.html"):
        found = _LOADS.search(page.read_text(encoding="utf-8"))
        if found:
            raise PluginError(f"{page} loads something from another host: {found[0]}")


def _on_site(link: re.Match[str], source: str, uri: str) -> str:
    target = link["target"]
    if ":" in target:
        return link[0]
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
    if not (ROOT / path).exists():
        raise PluginError(f"{source} has a link to {target}, which does not exist")
    page = PAGES.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
    if page is None:
        return link["text"]
    return f"[{link['text']}]({posixpath.relpath(page, posixpath.dirname(uri) or '.')}{link['anchor'] or ''})"
