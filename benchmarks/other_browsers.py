"""Firefox and WebKit (Safari's engine) without a window, each by its own protocol, which Playwright does not speak.

Debian's packages: firefox-esr; webkit2gtk-driver, xvfb. PyPI's: marionette_driver 3.7.1 for Firefox, selenium 4.51.0 for WebKit.
"""

import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import Any

Ask = Callable[[str, str], Any]
"""Gives a script, an async function of one text, that text; its answer comes back as JSON's values."""
ANSWERED = (
    "const done = arguments[1], told = (one) => done(JSON.stringify(one));"
    "(%s)(arguments[0]).then((value) => told({ value }), (error) => told({ fault: String(error) }));"
)
READY = """(text) => new Promise((done, failed) => setInterval(() => {
  const trouble = document.getElementById("trouble").textContent;
  if (trouble) failed(new Error(trouble));
  else if (!document.getElementById("start").disabled) done(true);
}, 50))"""
SECONDS = 180
FIREFOX = {"marionette.port": 2828, "toolkit.telemetry.enabled": False, "datareporting.policy.dataSubmissionEnabled": False}


def answer_of(told: str) -> Any:
    """The value in what ANSWERED told. Raises RuntimeError with the page's own words where the script failed."""
    found = json.loads(told)
    if "fault" in found:
        raise RuntimeError(found["fault"])
    return found.get("value")


@contextmanager
def firefox(address: str) -> Iterator[Ask]:
    """The page at an address in Firefox, once its model is loaded."""
    from marionette_driver.marionette import Marionette

    with tempfile.TemporaryDirectory() as profile:
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in FIREFOX.items()]
        Path(profile, "user.js").write_text("".join(lines))
        words = ["firefox-esr", "--headless", "--marionette", "--no-remote", "--profile", profile]
        with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                driver = Marionette(host="127.0.0.1", port=FIREFOX["marionette.port"])
                driver.raise_for_port(SECONDS)
                driver.start_session()
                driver.timeout.script = SECONDS
                driver.navigate(address)

                def ask(script: str, text: str) -> Any:
                    return answer_of(driver.execute_async_script(ANSWERED % script, script_args=[text], sandbox=None))

                ask(READY, "")
                yield ask
            finally:
                process.terminate()


@contextmanager
def webkit(address: str) -> Iterator[Ask]:
    """The page at an address in WebKitGTK, once its model is loaded. Needs a screen, as xvfb-run gives one."""
    from selenium import webdriver

    options = webdriver.WebKitGTKOptions()
    options.binary_location = glob("/usr/lib/*/webkit2gtk-4.*/MiniBrowser")[-1]
    options.add_argument("--automation")
    driver = webdriver.WebKitGTK(options=options, service=webdriver.WebKitGTKService("/usr/bin/WebKitWebDriver"))
    try:
        driver.set_script_timeout(SECONDS)
        driver.get(address)

        def ask(script: str, text: str) -> Any:
            return answer_of(driver.execute_async_script(ANSWERED % script, text))

        ask(READY, "")
        yield ask
    finally:
        driver.quit()
