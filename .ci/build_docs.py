"""Build the documentation and check every link between its pages.

Usage: build_docs.py [FOLDER], docs/_build/html by default. A warning is an error, and so is a
public name that is missing from the reference (see docs/_ext/names.py).
"""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent


class Page(HTMLParser):
    """The anchors and the links of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors = {""}
        self.links: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the anchor and the links of a tag."""
        for name, value in attrs:
            if name == "id" and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value and not (tag == "link" and "search" in value):
                self.links.append(value)


def broken_links(folder: Path) -> list[str]:
    """Return the links to pages, pictures and anchors that do not exist.

    :param folder: the folder of the pages.
    """
    pages = {path.resolve(): Page(path) for path in sorted(folder.rglob("*.html"))}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            missing = not target.exists() or (
                target in pages and unquote(parts.fragment) not in pages[target].anchors
            )
            if missing:
                broken.append(f"{path.relative_to(folder)}: {link}")
    return broken


def main() -> int:
    """Build the documentation, then check its links."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "docs" / "_build" / "html").resolve()
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-n", "--keep-going", "-E", "-j", "2"]
    command += ["-b", "html", "-d", str(ROOT / "docs" / "_build" / "doctrees")]
    status = subprocess.run([*command, str(ROOT / "docs"), str(folder)], check=False).returncode
    if status:
        return status
    broken = broken_links(folder)
    if broken:
        print("\n".join(["these links are broken:", *broken]))
        return 1
    print(f"the documentation is in {folder / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
