"""A Firefox driven by WebDriver BiDi (W3C), which it serves itself: Playwright would want a patched one."""

import itertools
import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

PATIENCE = 30  # seconds
PREFERENCES = {
    "browser.download.folderList": 2,
    "browser.download.useDownloadDir": True,
    "browser.download.always_ask_before_handling_new_types": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "app.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
}
JSON_OF = (
    "async (asked) => { const found = await asked; return JSON.stringify(found instanceof Node || (found ?? null)) }"
)
KEYS = {"Enter": "\ue007", "Tab": "\ue004", "Escape": "\ue00c", "ArrowDown": "\ue015", "End": "\ue010"}


class Page:
    """A tab. ``faults`` are the errors of its console, ``downloads`` is where its files go."""

    def __init__(self, socket: Any, downloads: Path) -> None:
        self._socket, self._ids, self.downloads = socket, itertools.count(1), downloads
        self.faults: list[str] = []
        self._call("session.new", capabilities={})
        self._call("session.subscribe", events=["log.entryAdded"])
        # A window of its own: the one that Firefox starts with gets no focus, nor do its elements.
        self._tab = self._call("browsingContext.create", type="window")["context"]

    def goto(self, address: str) -> None:
        self._call("browsingContext.navigate", context=self._tab, url=address, wait="complete")

    def reload(self) -> None:
        self._call("browsingContext.reload", context=self._tab, wait="complete")

    def resize(self, width: int, height: int) -> None:
        self._call("browsingContext.setViewport", context=self._tab, viewport={"width": width, "height": height})

    def evaluate(self, expression: str) -> Any:
        """The expression's value, awaited, as JSON has it; an element is true."""
        found = self._call(
            "script.evaluate",
            expression=f"({JSON_OF})({expression})",
            target={"context": self._tab},
            awaitPromise=True,
        )
        assert found["type"] == "success", found["exceptionDetails"]["text"]
        return json.loads(found["result"]["value"])

    def until(self, expression: str) -> Any:
        """Waits until the expression is true, and returns it."""
        end = time.monotonic() + PATIENCE
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < end, f"not within {PATIENCE} s: {expression}"
            time.sleep(0.05)
        return value

    def text(self, selector: str) -> str:
        """The text of the first such element, once there is one."""
        return str(self.until(f"document.querySelector({json.dumps(selector)})?.textContent"))

    def type(self, text: str) -> None:
        self._keys(text)

    def press(self, *names: str) -> None:
        self._keys([KEYS.get(name, name) for name in names])

    def _keys(self, keys: Any) -> None:
        strokes = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._act({"type": "key", "id": "keys", "actions": strokes})

    def click(self, selector: str) -> None:
        found = self._call(
            "browsingContext.locateNodes", context=self._tab, locator={"type": "css", "value": selector}, maxNodeCount=1
        )["nodes"]
        assert found, selector
        self.evaluate(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        origin = {"type": "element", "element": {"sharedId": found[0]["sharedId"]}}
        moves = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": origin},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        self._act({"type": "pointer", "id": "mouse", "actions": moves})

    def _act(self, action: dict[str, Any]) -> None:
        self._call("input.performActions", context=self._tab, actions=[action])

    def _call(self, method: str, **parameters: Any) -> Any:
        number = next(self._ids)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE))
            if answer.get("method") == "log.entryAdded" and answer["params"]["level"] == "error":
                self.faults.append(str(answer["params"]["text"]))
            if answer.get("id") == number:
                assert answer["type"] == "success", f"{method}: {answer.get('message')}"
                return answer["result"]


@contextmanager
def running(program: str, folder: Path) -> Iterator[Page]:
    """A headless Firefox with a profile of its own below the folder, where its downloads go too."""
    profile = folder / "profile"
    profile.mkdir()
    preferences = PREFERENCES | {"browser.download.dir": str(folder)}
    lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in preferences.items()]
    (profile / "user.js").write_text("\n".join(lines))
    arguments = ["--headless", "--no-remote", "--remote-debugging-port=0", "--profile", str(profile)]
    log = folder / "firefox.log"
    with log.open("w") as output, subprocess.Popen([program, *arguments], stdout=output, stderr=output) as process:
        try:
            with connect(f"{_address(log, process)}/session", max_size=None, proxy=None) as socket:
                yield Page(socket, folder)
        finally:
            process.terminate()


def _address(log: Path, process: "subprocess.Popen[bytes]") -> str:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", log.read_text("utf-8", "replace")):
            return found[1]
        time.sleep(0.1)
    raise AssertionError(f"Firefox does not start: {log.read_text('utf-8', 'replace')[-500:]}")
