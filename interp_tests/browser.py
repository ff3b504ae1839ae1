"""Chromium without a screen, for the tests of the page. Without it they fail: a skip would hide a broken page."""

import json
import shutil
from contextlib import contextmanager

MISSING = (
    "The tests of reports/index.html need {}. On Debian and Ubuntu: `apt-get install chromium chromium-driver`; "
    "elsewhere put chromium (or google-chrome) and its chromedriver on PATH."
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# No sandbox: tests may run as root in a container, and the page is our own.
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")


@contextmanager
def chromium():
    """A driver whose log holds the console and every request of the pages that it opens."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    binary, driver = next(filter(None, map(shutil.which, BROWSERS)), None), shutil.which("chromedriver")
    assert binary, MISSING.format("Chromium")
    assert driver, MISSING.format("chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


def requests_of(browser):
    """The addresses that were asked for since the last look."""
    logged = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [one["params"]["request"]["url"] for one in logged if one["method"] == "Network.requestWillBeSent"]


def view(browser, width, height=900, scheme="light"):
    """The size of the window and the theme of the system."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
