"""What axe says of a page."""

from tests.conftest import ROOT, require

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SCHEMES = ("light", "dark")


def violations(page):
    """What axe finds, in a line each."""
    require(AXE.is_file(), "axe-core is missing: `make install` fetches it")
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]
