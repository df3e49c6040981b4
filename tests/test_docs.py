"""The documentation is true: its code blocks run, its links lead somewhere, its commands exist."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"])
BLOCKS = [
    (page, number, text) for page in PAGES for number, text in enumerate(re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.S))
]


@pytest.mark.parametrize(("page", "number", "text"), BLOCKS, ids=[f"{page.stem}-{number}" for page, number, _ in BLOCKS])
def test_a_python_block_of_the_documentation_runs(page, number, text):
    exec(compile(text, f"{page.name}, block {number}", "exec"), {"__name__": "__docs__"})


def test_the_conventions_assert_something():
    assert sum(page.stem == "conventions" and "assert" in text for page, _, text in BLOCKS) >= 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page):
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text("utf-8")):
        if not target.startswith(("http:", "https:", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_command_in_the_readme_and_docs_exists():
    help_text = subprocess.run([sys.executable, "-m", "sightline.cli", "--help"], capture_output=True, text=True, check=True).stdout
    verbs = set(re.findall(r"^  ([a-z]+)\s", help_text.split("Commands:")[1], re.M))
    used = {verb for page in PAGES for verb in re.findall(r"^\s*(?:\$ )?sightline ([a-z]+)", page.read_text("utf-8"), re.M)}
    assert used <= verbs, used - verbs
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([a-z]+)`", (ROOT / "README.md").read_text("utf-8")):
        assert re.search(rf"^{target}:", makefile, re.M), target


def test_every_key_of_a_capture_file_is_documented():
    from sightline.captures.options import OPTION_NAMES

    page = (ROOT / "docs" / "own_scan.md").read_text("utf-8")
    assert [name for name in OPTION_NAMES if f"`{name}`" not in page] == []


def test_every_scan_format_has_a_row_and_a_page_that_names_its_command():
    from sightline.captures import READERS

    table = (ROOT / "docs" / "formats.md").read_text("utf-8")
    for name in READERS:
        assert f"| `{name}` |" in table, name
        if name not in ("rooms", "folder"):
            page = (ROOT / "docs" / "formats" / f"{name}.md").read_text("utf-8")
            assert "sightline import" in page and "icence" in page, name


def test_every_option_of_a_reader_stands_on_its_page():
    import importlib
    import inspect

    from sightline.captures import READERS
    from sightline.captures.options import ScanOptions

    for name in READERS:
        if name in ("rooms", "folder"):
            continue
        module = importlib.import_module(READERS[name].__module__)
        page = (ROOT / "docs" / "formats" / f"{name}.md").read_text("utf-8")
        own = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, ScanOptions) and kind is not ScanOptions]
        assert own, name
        for kind in own:
            missing = [key for key in kind.__dataclass_fields__ if key not in ScanOptions.__dataclass_fields__ and f"`{key}" not in page]
            assert missing == [], (name, missing)
