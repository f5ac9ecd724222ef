"""The page of ``pnpsr demo --web``: what it answers, whom it refuses; in a real browser, from a drop to the downloads."""

import base64
import json
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from browser import opened

from pnpsr.cli.desk import Desk, kernel_url, safe
from pnpsr.cli.report import Truth
from pnpsr.cli.web import HERE, serve
from pnpsr.images import read_image, sample_picture, write_image
from pnpsr.kernels import dirac, load_kernels

BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    write_image(tmp_path / "cat.png", sample_picture("chelsea")[..., 100:124, 150:180])
    return tmp_path / "cat.png"


@pytest.fixture
def site(tmp_path: Path, small: Path) -> Iterator[str]:
    """The address of a server whose sample picture is a small one."""

    def sample(scale: int, path: Path) -> Truth:
        path.write_bytes(small.read_bytes())
        return Truth(k=dirac(5))

    with serve(Desk(tmp_path / "out"), sample, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{HERE}:{server.server_port}"
        server.shutdown()


def ask(url: str, data: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(url, data, headers or ({} if data is None else BYTES))
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def finished(site: str, number: int) -> dict[str, Any]:
    for _ in range(600):
        told = json.loads(ask(f"{site}/order/{number}")[2])
        if told["state"] in ("done", "failed"):
            return told
        time.sleep(0.1)
    raise AssertionError(told)


def test_a_picture_is_sent_restored_and_fetched(site: str, small: Path, tmp_path: Path) -> None:
    page = ask(f"{site}/")[2].decode()
    assert "ikrnet-x2" in page and "usrnet" not in page and "$" not in page and not re.search(r"""(src|href)="http""", page)
    query = "name=..%2F..%2Fmy%20cat.png&scale=2&preset=blind_hqs"
    number = json.loads(ask(f"{site}/order?{query}", small.read_bytes())[2])["order"]
    told = finished(site, number)
    assert told["state"] == "done" and "explains the picture" in told["words"] and told["seconds"] > 0
    assert len(told["kernels"]) > 1 and told["kernels"][0]["how"] == "iteration 1"
    assert told["kernels"][0]["image"] != told["kernels"][-1]["image"]  # it evolves
    assert len(json.loads(ask(f"{site}/order/{number}?since=1")[2])["kernels"]) == len(told["kernels"]) - 1
    assert told["files"].keys() == {"restored", "kernel", "report"}
    for kind, read in (("restored", lambda p: read_image(p).image), ("kernel", load_kernels)):
        status, headers, body = ask(f"{site}/order/{number}/{kind}")
        assert status == 200 and "attachment" in headers["Content-Disposition"]
        (tmp_path / told["files"][kind]).write_bytes(body)
        assert read(tmp_path / told["files"][kind]).ndim == 4
    assert read_image(tmp_path / "my cat_restored.png").image.shape == (1, 3, 48, 60)
    assert (tmp_path / "out" / "1" / "my cat.png").is_file()
    assert b"<h2>Before and after</h2>" in ask(f"{site}/order/{number}/report")[2]


def test_the_sample_and_what_cannot_be_restored(site: str) -> None:
    sample = f"{site}/sample?scale=1&preset=blind_hqs"
    good, bad = (json.loads(ask(url, b"no picture")[2])["order"] for url in (sample, f"{site}/order?scale=2"))
    assert finished(site, good)["state"] == "done"
    told = finished(site, bad)
    assert told["state"] == "failed" and "is not a whole picture" in told["words"] and "\n" not in told["words"]
    again = json.loads(ask(sample, b"")[2])["order"]
    assert again == 3 and finished(site, again)["state"] == "done"  # a failure holds nobody up


@pytest.mark.parametrize(
    ("where", "word"),
    [
        ("order?scale=2&preset=magic", "magic"),
        ("order?scale=two", "whole number"),
        ("order?scale=2&preset=ikrnet-x4", "is for scale 4"),
        ("order?scale=0", "scale must be at least 1"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(site: str, where: str, word: str) -> None:
    status, _, body = ask(f"{site}/{where}", b"x")
    assert status == 400 and word in json.loads(body)["error"]


def test_other_sites_and_paths_get_nothing(site: str) -> None:
    assert ask(f"{site}/", headers={"Host": "evil.example"})[0] == 403
    assert ask(f"{site}/order?scale=2", b"x", {"Host": "evil.example", **BYTES})[0] == 403
    assert ask(f"{site}/order?scale=2", b"x", {"Content-Type": "text/plain"})[0] == 400  # all that a form elsewhere can send
    assert ask(f"{site}/order?scale=2", b"x", {**BYTES, "Content-Length": str(2**40)})[0] == 413
    for path in ("order/1", "order/1/restored", "order/x", "../pyproject.toml", "order/1/..%2F..%2Fcat.png"):
        assert ask(f"{site}/{path}")[0] == 404


def test_names_have_no_folders_and_kernels_are_small_pictures() -> None:
    assert [safe(n) for n in ("/etc/passwd", "a\\b.png", "..", ".bashrc", "ein Bild.jpg", "x" * 300, "")] == [
        "passwd", "b.png", "picture", "bashrc", "ein Bild.jpg", "x" * 100, "picture",
    ]  # fmt: skip
    assert base64.b64decode(kernel_url(torch.rand(1, 1, 5, 7)).split(",")[1]).startswith(b"\x89PNG")


def test_a_port_that_is_taken_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from pnpsr.cli import main

    with serve(Desk(tmp_path), lambda scale, path: Truth(), 0) as server:
        assert main(["demo", "--web", "--port", str(server.server_port), "--out", str(tmp_path)]) == 2
    assert "name another with --port" in capsys.readouterr().err
    assert main(["demo", "--port", "8000"]) == 2 and "--port goes with --web" in capsys.readouterr().err


DROP = """
const bytes = Uint8Array.from(atob("{data}"), c => c.charCodeAt(0)), given = new DataTransfer();
given.items.add(new File([bytes], "<b>cat.png"));
document.getElementById("drop").dispatchEvent(new DragEvent("drop", {{ bubbles: true, cancelable: true, dataTransfer: given }}));
"""
LOOK = """return [document.getElementById("status").textContent, document.querySelectorAll("#kernels img").length,
document.getElementById("bar").hidden, document.getElementById("result").hidden]"""
FETCH = """return (async () => { const found = {};
for (const id of ["restored", "kernel"]) { const a = document.getElementById(id), r = await fetch(a.href);
  found[id] = [r.status, (await r.arrayBuffer()).byteLength, a.download, getComputedStyle(a).display != "none"]; }
return found; })()"""


@pytest.mark.slow
def test_in_a_browser_from_a_drop_to_the_downloads(tmp_path: Path) -> None:
    """The real command in a process of its own, the default of several methods, and a picture large enough for them."""
    write_image(tmp_path / "a.png", sample_picture("chelsea")[..., 100:180, 150:240])
    command = [sys.executable, "-m", "pnpsr", "demo", "--web", "--port", "0", "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server, opened() as browser:
        try:
            url = server.stdout.readline().split()[1]
            browser.open(url)
            assert browser.run("return [...document.images].length") == 0
            browser.run("const s = document.getElementById('scale'); s.value = '4'; s.dispatchEvent(new Event('change'));")
            open_to = "return [...document.getElementById('preset').options].filter(o => !o.disabled).map(o => o.value)"
            assert {"ikrnet-x4", "", "blind_hqs"} <= set(browser.run(open_to)) and "ikrnet-x2" not in browser.run(open_to)
            browser.run("const s = document.getElementById('scale'); s.value = '1'; s.dispatchEvent(new Event('change'));")
            browser.run(DROP.format(data=base64.b64encode((tmp_path / "a.png").read_bytes()).decode()))
            seen = []
            for _ in range(2400):
                seen.append(browser.run(LOOK))
                if not seen[-1][3]:
                    break
                assert "failed" not in browser.run("return document.getElementById('status').className")
                time.sleep(0.1)
            counts = sorted({count for _, count, _, _ in seen})
            assert len(counts) > 2 and any("looking for the blur" in words for words, *_ in seen), seen[-1]  # one after the other
            assert seen[-1][0].startswith("<b>cat.png, ") and not browser.run("return document.querySelectorAll('b').length")
            got = browser.run(FETCH)
            assert got["restored"][:3] == [
                200,
                (tmp_path / "out/1/restored/_b_cat_restored.png").stat().st_size,
                "_b_cat_restored.png",
            ]
            assert got["kernel"][0] == 200 and got["kernel"][2] == "_b_cat_kernel.npz" and got["restored"][3] and got["kernel"][3]
            ready = "return document.getElementById('report').contentDocument.querySelector('#words')?.textContent"
            for _ in range(100):
                if words := browser.run(ready):
                    break
                time.sleep(0.1)
            assert words and words in seen[-1][0]
            assert browser.errors() == []
        finally:
            server.terminate()
