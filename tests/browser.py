"""A browser for tests: chromium without a window, spoken to by the little of the WebDriver protocol that is needed."""

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


class Browser:
    """One window; with ``phone`` it is 390 pixels wide and says so."""

    def __init__(self, port: int, phone: bool = False) -> None:
        self.base = f"http://127.0.0.1:{port}"
        options: dict[str, Any] = {
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1280,900"]
        }
        if phone:
            options["mobileEmulation"] = {"deviceMetrics": {"width": 390, "height": 844, "pixelRatio": 1.0}}
        always = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": always}})["sessionId"]

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def open(self, url: str) -> None:
        self.call("POST", f"/session/{self.session}/url", {"url": url})

    def run(self, script: str) -> Any:
        return self.call("POST", f"/session/{self.session}/execute/sync", {"script": script, "args": []})

    def errors(self) -> list[str]:
        """What the console said since the last call."""
        said = self.call("POST", f"/session/{self.session}/se/log", {"type": "browser"})
        return [line["message"] for line in said if line["level"] == "SEVERE"]

    def screenshot(self) -> bytes:
        return b64decode(self.call("GET", f"/session/{self.session}/screenshot"))


@contextmanager
def opened(*, phone: bool = False) -> Iterator[Browser]:
    """A browser, closed afterwards; the test is skipped where there is none."""
    if shutil.which("chromedriver") is None:
        pytest.skip("no chromedriver here: apt-get install chromium chromium-driver")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        one = Browser(port, phone)
        yield one
        one.call("DELETE", f"/session/{one.session}")
    finally:
        driver.terminate()
        driver.wait()
