"""The report page in a real browser, where one is installed."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=5000",
)
COUNT = """<script>
addEventListener("load", () => {
  const decoded = [...document.images].filter((image) => image.naturalWidth > 0).length;
  document.title = `${decoded} of ${document.images.length}`;
});
</script></body>"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine")
def test_every_image_decodes_without_a_request_or_a_console_message(finished, tmp_path) -> None:
    def dump(page) -> subprocess.CompletedProcess[str]:
        log, profile = tmp_path / "net.json", tmp_path / "profile"
        own = [f"--user-data-dir={profile}", f"--log-net-log={log}", "--dump-dom"]
        return subprocess.run(
            [str(BROWSER), *FLAGS, *own, page.as_uri()], capture_output=True, text=True, check=True
        )

    report = finished.root / "results/report.html"
    html = report.read_text()
    done = dump(report)
    assert "CONSOLE" not in done.stderr
    asked = (tmp_path / "net.json").read_text()
    from_page = {url for url in re.findall(r'"url":"(\w+:[^"]*)"', asked) if "google" not in url}
    assert all(url.startswith(("file:", "data:", "chrome")) for url in from_page), from_page

    policy = r'<meta http-equiv="Content-Security-Policy"[^>]*>'
    counted = tmp_path / "counted.html"
    counted.write_text(re.sub(policy, "", html).replace("</body>", COUNT))
    title = re.search(r"<title>(\d+) of (\d+)</title>", dump(counted).stdout)
    assert title
    assert title[1] == title[2] == str(html.count("<img "))
