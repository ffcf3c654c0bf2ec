"""What axe says of a page."""

from tests.conftest import ROOT, require

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
SCHEMES = ("light", "dark")


def violations(page):
    """What axe finds by day and by night, in a line each."""
    require(AXE.is_file(), "axe-core is missing: `make install` fetches it")
    page.evaluate(AXE.read_text("utf-8"))
    found = []
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # colours that are on their way are none yet
        result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        found += [f"{scheme}: {one['id']}: {node['html'][:200]}" for one in result for node in one["nodes"]]
    return found
