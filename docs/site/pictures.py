"""A hook of MkDocs: the pictures that pages show from benchmarks/results come along."""

from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

PICTURES = "benchmarks/results"
ROOT = Path(__file__).parent.parent.parent


def on_files(files: Any, config: Any) -> Any:
    """Add the pictures to what is copied."""
    for path in sorted((ROOT / PICTURES).glob("*.png")):
        name = f"{PICTURES}/{path.name}"
        files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Point to them from where the page is now."""
    return markdown.replace(f"](../{PICTURES}/", f"]({PICTURES}/")
