"""The page of a server in headless Chromium: labels, errors, API keys, and no request to anywhere else.

Needs the package playwright and a browser that is found as chromium or google-chrome.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from served import Server, export_of, serve

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
EVIL = '<img src=x onerror="document.title=1">'


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(
        f"words={export_of('words')}", f"topic={export_of('sentences')}", env={"FLAIRLITE_API_KEY": "k"}
    ) as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any, server: Server) -> Iterator[Callable[..., Any]]:
    """A function that opens the page and gives the API key. At the end, only the server must have been asked."""
    url = f"http://127.0.0.1:{server.port}/"
    problems: list[str] = []
    requests: list[str] = []
    contexts: list[Any] = []

    def open_it(**options: Any) -> Any:
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(url)
        page.locator("#problem").get_by_text("the API key is missing or wrong").wait_for()
        page.fill("#key", "k")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert [text for text in problems if "401 (Unauthorized)" not in text] == []
    assert [address for address in requests if not address.startswith((url, "data:"))] == []


def label(page: Any, text: str) -> Any:
    """Send a text, and return what is shown."""
    page.fill("#text", text)
    page.click("#send")
    page.locator("#send:enabled").wait_for()  # a function to wait for would be evaluated, which the page forbids
    return page.locator("#answer")


def test_words_are_marked_in_their_text(open_page: Callable[..., Any], server: Server) -> None:
    page = open_page()
    text = "Ada 🤟🏽 lives here. It rained."
    answer = label(page, text)
    tokens = server.tag({"text": text, "model": "words"}, Authorization="Bearer k").json["sentences"]
    marks = answer.locator(".marked")
    expected = [f"{token['text']}{token['label']}" for sentence in tokens for token in sentence["tokens"]]
    assert [mark.strip() for mark in marks.all_text_contents()] == expected
    assert answer.locator(".sentence").count() == 2
    assert page.locator("#problem").inner_text() == ""


def test_another_model_can_be_chosen(open_page: Callable[..., Any]) -> None:
    page = open_page()
    label(page, "Ada lives.")
    assert page.locator("#model option").all_text_contents() == ["words", "topic"]
    page.select_option("#model", "topic")
    answer = label(page, "Ada lives.")
    assert answer.locator(".marked").count() == 1
    assert "Ada lives." in answer.inner_text()
    assert '"model": "topic"' in page.locator("#json").text_content()


def test_text_is_shown_as_text(open_page: Callable[..., Any]) -> None:
    page = open_page()
    answer = label(page, EVIL)
    assert (page.title(), answer.locator("img").count()) == ("flairlite", 0)
    assert "onerror" in answer.inner_text()


def test_problems_are_shown(open_page: Callable[..., Any]) -> None:
    page = open_page()
    label(page, "Ada")
    page.fill("#key", "wrong")
    label(page, "Ada")
    assert page.locator("#problem").inner_text().startswith("the API key is missing or wrong")


def test_a_phone_needs_no_horizontal_scrolling(open_page: Callable[..., Any]) -> None:
    page = open_page(viewport={"width": 360, "height": 640})
    label(page, "w" * 300 + " and more words " * 20)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
