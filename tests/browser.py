"""Open a page in Chromium at several widths and ask it how it is."""

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

# The head of the page: what goes wrong from the first moment on.
LISTEN = """<script>
const problems = [];
addEventListener("error", event => problems.push(event.message || event.target.outerHTML), true);
addEventListener("unhandledrejection", event => problems.push(String(event.reason)));
for (const kind of ["error", "warn"]) {
  console[kind] = (...words) => problems.push(words.join(" "));
}
</script>"""
# Its end: once everything is loaded, tell the frame around it.
TELL = """<script>
addEventListener("load", () => setTimeout(() => {
  const told = {
    problems,
    width: innerWidth,
    needed: document.documentElement.scrollWidth,
    images: [...document.images].map(image => image.naturalWidth),
    asked: (() => { %s })(),
  };
  parent.postMessage(JSON.stringify(told), "*");
}, 50));
</script>"""
FRAMES = """<!doctype html><title>frames</title><body>%s<pre id="told"></pre><script>
const told = [];
addEventListener("message", event => {
  told.push(event.data);
  document.getElementById("told").textContent = "[" + told.join(",") + "]";
});
</script></body>"""


def look_at(
    page: Path, folder: Path, widths=(1280, 390), script: str = "return null"
) -> list[dict]:
    """Open a copy of a page in frames of some widths; return what each told, by falling width.

    ``problems`` are errors, warnings and files that did not load, ``spoken`` what the console of
    either says, ``width`` that of the window and ``needed`` that of the page, ``images`` their
    natural widths, and ``asked`` what the body of a function, ``script``, returns.
    """
    text = page.read_text(encoding="utf-8")
    assert text.count("<head>") == 1 and text.count("</body>") == 1
    text = text.replace("<head>", f"<head>{LISTEN}")
    copy = folder / "copy.html"
    copy.write_text(text.replace("</body>", f"{TELL % script}</body>"), encoding="utf-8")
    frames = "".join(
        f'<iframe src="copy.html" style="width:{width}px;height:900px;border:0"></iframe>'
        for width in widths
    )
    (folder / "frames.html").write_text(FRAMES % frames, encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--no-first-run",
            f"--user-data-dir={folder / 'browser'}",
            "--virtual-time-budget=20000",
            "--enable-logging=stderr",
            "--dump-dom",
            (folder / "frames.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    spoken = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    (told,) = re.findall(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    found = json.loads(unescape(told) or "[]")
    assert len(found) == len(widths), done.stderr[-2000:]
    return sorted(({**one, "spoken": spoken} for one in found), key=lambda one: -one["width"])
