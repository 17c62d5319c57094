"""The report in headless Chromium: sorting, the cells of the matrix, the keyboard, themes, phones and print.

Needs the package playwright and a browser that is found as chromium or google-chrome.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from run_folders import Row, write_run

from flairlite.visual.report import write_report

pytest.importorskip("jinja2", reason="jinja2 is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
FLAGS = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
EVIL = '<img src=x onerror="document.title=1">'

ROWS: list[list[Row]] = [
    [("The", "DET", "DET"), ("dog", "NOUN", "VERB"), ("sleeps", "VERB", "VERB"), (EVIL, EVIL, "NOUN")],
    [("שלום", "NOUN", "DET"), ("🙂" * 30, "SYM", "NOUN"), ("w" * 500, "NOUN", "NOUN"), ("dogs", "NOUN", "VERB")],
] + [[("a", "DET", "DET"), ("cat", "NOUN", "NOUN")]] * 5


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    scores = [[f"0.{9 - index}000\t{(index + 1) % 2}" for index, _ in enumerate(rows)] for rows in ROWS]
    return write_report(write_run(tmp_path_factory.mktemp("run"), ROWS, scores=scores, epochs=5))


@pytest.fixture
def open_page(browser: Any, report: Path) -> Iterator[Callable[..., Any]]:
    """A function that opens the report. At the end, nothing must have been requested or reported as an error."""
    problems: list[str] = []
    requests: list[str] = []
    contexts: list[Any] = []

    def open_it(**options: Any) -> Any:
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(report.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert problems == []
    assert [url for url in requests if url != report.as_uri() and not url.startswith("data:")] == []


def classes(page: Any) -> list[str]:
    found: list[str] = page.locator("#class-table tbody th").all_inner_texts()
    return found


def contrast_of(page: Any, selector: str) -> list[float]:
    """Return the contrast (WCAG 2) of each element's text with the nearest opaque background."""
    found: list[float] = page.evaluate(
        """selector => {
          const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
          const rgb = color => {
            canvas.clearRect(0, 0, 1, 1);
            canvas.fillStyle = color;
            canvas.fillRect(0, 0, 1, 1);
            return [...canvas.getImageData(0, 0, 1, 1).data];
          };
          const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
            .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
          return [...document.querySelectorAll(selector)].map(element => {
            let box = element;
            while (rgb(getComputedStyle(box).backgroundColor)[3] < 255) box = box.parentElement;
            const pair = [getComputedStyle(element).color, getComputedStyle(box).backgroundColor];
            const [a, b] = pair.map(rgb).map(luminance).sort((x, y) => y - x);
            return (a + 0.05) / (b + 0.05);
          });
        }""",
        selector,
    )
    return found


def test_columns_sort_in_both_directions(open_page: Callable[..., Any]) -> None:
    page = open_page()
    header = page.locator("#class-table th", has_text="class")
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    ascending = classes(page)
    assert ascending == sorted(ascending, key=str.casefold)
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert classes(page) == ascending[::-1]
    support = page.locator("#class-table th", has_text="support")
    support.locator("button").press("Enter")
    assert header.get_attribute("aria-sort") == "none"
    assert support.get_attribute("aria-sort") == "descending"
    values = [int(text) for text in page.locator("#class-table tbody td:last-child").all_inner_texts()]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) > 2


def test_a_cell_lists_its_errors_in_context(open_page: Callable[..., Any]) -> None:
    page = open_page()
    cell = page.get_by_role("button", name="2 errors: gold NOUN, predicted VERB")
    panel = page.locator("#cell")
    assert not panel.is_visible()
    cell.click()
    assert cell.get_attribute("aria-expanded") == "true"
    assert panel.locator("mark").all_inner_texts() == ["dog", "dogs"]
    assert "The dog sleeps" in panel.inner_text()
    assert "unknown word" in panel.inner_text()
    panel.get_by_role("button", name="Close").click()
    assert not panel.is_visible()
    assert cell.evaluate("element => element === document.activeElement")


def test_texts_stay_texts(open_page: Callable[..., Any]) -> None:
    page = open_page()
    page.locator("#heat button", has_text="1").first.wait_for()
    for button in page.locator("#heat button").all():
        button.click()
    assert page.title().startswith("SequenceTagger for upos")
    assert page.locator("img").count() == 0
    assert EVIL in page.locator("#class-table").inner_text()


def test_the_matrix_is_used_by_keyboard(open_page: Callable[..., Any]) -> None:
    page = open_page()
    assert page.locator("#heat button[tabindex='0']").count() == 1  # one stop of the tab key
    page.locator("#heat button[data-cell='3,0']").focus()
    first = page.evaluate("document.activeElement.dataset.cell")
    page.keyboard.press("ArrowRight")  # there is no further error in the row
    assert page.evaluate("document.activeElement.dataset.cell") == first
    page.keyboard.press("ArrowDown")
    second = page.evaluate("document.activeElement.dataset.cell")
    assert second != first
    assert second.split(",")[1] == first.split(",")[1]
    assert page.locator("#heat button[tabindex='0']").get_attribute("data-cell") == second
    page.keyboard.press("Enter")
    assert page.locator("#cell").is_visible()
    assert page.evaluate("document.activeElement.id") == "cell"
    page.keyboard.press("Escape")
    assert not page.locator("#cell").is_visible()
    assert page.evaluate("document.activeElement.dataset.cell") == second


def test_the_tab_key_reaches_each_control_in_order(open_page: Callable[..., Any]) -> None:
    page = open_page(viewport={"width": 1280, "height": 900})
    positions = []
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        name, top, has_outline = page.evaluate(
            """() => { const e = document.activeElement; const style = getComputedStyle(e);
            return [e.id || e.dataset.cell || e.innerText.slice(0, 20), e.getBoundingClientRect().top + scrollY,
              style.outlineStyle !== "none" || e === document.body || e.className === "skip"]; }"""
        )
        if name in seen and name == seen[0]:
            break
        assert has_outline, name  # where the focus is can be seen
        seen.append(name)
        positions.append(top)
    assert "theme" in seen
    after = [top for name, top in zip(seen, positions, strict=True) if "," in name or name in ("class", "precision")]
    assert after == sorted(after)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_contrast_in_both_themes(scheme: str, open_page: Callable[..., Any]) -> None:
    page = open_page(color_scheme=scheme)
    page.locator("#heat button").first.click()
    for selector in ("h1", ".sub", ".hint", "dt", "dd span", ".data th", ".data td", ".heat td.right", ".heat button"):
        ratios = contrast_of(page, selector)
        assert ratios, selector
        assert min(ratios) >= 4.5, selector
    for selector in (".pill", ".row", ".meta", ".panel mark", "a", "summary", "button", "footer", ".tag"):
        assert min(contrast_of(page, selector)) >= 4.5, selector


def test_the_theme_follows_the_system_and_the_button(open_page: Callable[..., Any]) -> None:
    page = open_page(color_scheme="dark")
    color = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(color)
    button = page.locator("#theme")
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    light = page.evaluate(color)
    assert light != dark
    assert button.get_attribute("aria-pressed") == "false"
    page.emulate_media(color_scheme="light")
    assert page.evaluate(color) == light
    button.click()
    assert page.evaluate(color) == dark


def test_the_scores_fit_a_phone(open_page: Callable[..., Any]) -> None:
    page = open_page(viewport={"width": 360, "height": 740})
    page.evaluate("for (const row of document.querySelectorAll('#class-table tr')) row.cells[0].textContent = 'PROPN'")
    assert page.locator("#class-table").evaluate("table => table.scrollWidth <= table.parentElement.clientWidth")


@pytest.mark.parametrize("width", [360, 1280])
def test_the_page_never_scrolls_sideways(width: int, open_page: Callable[..., Any]) -> None:
    page = open_page(viewport={"width": width, "height": 740})
    for summary in page.locator("summary").all():
        summary.click()
    page.locator("#heat button").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_print_is_light_and_complete(open_page: Callable[..., Any]) -> None:
    page = open_page(color_scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("#theme").is_visible()
    assert page.locator("details:not([open])").count() > 0
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0  # folded parts are printed
    assert page.pdf()[:5] == b"%PDF-"


def test_without_javascript_all_but_the_examples_is_there(browser: Any, report: Path) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(report.as_uri())
    assert page.locator("#class-table tbody tr").count() >= 4
    assert page.locator("svg.chart").count() >= 3
    assert "need JavaScript" in page.locator("noscript").inner_text()
