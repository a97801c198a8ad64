"""Looks at the built book as a reader does: with a browser, by mouse and by keyboard, by day and by
night, on a phone and on a desk.

    look.py BOOK SCREENSHOTS [WORD…]

BOOK is the folder that mdBook has built. Every test is a function named as a sentence; the last
line is the sum; WORDs choose those that have them in their names. Chromium is the
distribution's (CHROMIUM names another).
"""

import functools
import http.server
import os
import re
import shutil
import sys
import threading
import traceback
from pathlib import Path

from playwright.sync_api import sync_playwright

BOOK, SCREENSHOTS = Path(sys.argv[1]), Path(sys.argv[2])
THEMES = {"light": "light", "dark": "navy"}
WIDTHS = {"phone": 360, "desk": 1440}
TESTS = []


def test(function):
    TESTS.append(function)
    return function


class QuietServer(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # a browser that leaves a page hangs up


class Reader:
    """Opens pages, and notes on each what should not happen."""

    def __init__(self, browser, base):
        self.browser, self.base, self.contexts = browser, base, {}
        pages = re.findall(r'href="([^"#:]+\.html)"', (BOOK / "toc.html").read_text())
        self.pages = list(dict.fromkeys(page for page in pages if (BOOK / page).exists()))
        assert len(self.pages) > 5, f"only these pages in the book: {self.pages}"

    def visit(self, page, theme="light", width=1440, script=True):
        context = self.context(theme, width, script)
        tab = context.new_page()
        tab.set_default_timeout(60_000)
        tab.complaints = []
        tab.on("console", lambda said: said.type in ("error", "warning") and tab.complaints.append(f"console: {said.text}"))
        tab.on("pageerror", lambda error: tab.complaints.append(f"script: {error}"))
        tab.on("request", lambda request: self.is_ours(request.url) or tab.complaints.append(f"asks another host: {request.url}"))
        tab.on("requestfailed", lambda request: tab.complaints.append(f"failed: {request.url}"))
        tab.on("response", lambda response: response.status >= 400 and tab.complaints.append(f"{response.status}: {response.url}"))
        tab.goto(self.base + page, wait_until="load")
        if script:
            tab.evaluate("document.fonts.ready")
        return tab

    def context(self, theme, width, script):
        """One for all visits of a kind: a browser that has read a page knows the fonts of the next."""
        kind = (theme, width, script)
        if kind not in self.contexts:
            context = self.browser.new_context(
                viewport={"width": width, "height": 900 if width > 500 else 740},
                java_script_enabled=script,
                reduced_motion="reduce",
            )
            context.add_init_script(f"localStorage.setItem('mdbook-theme', '{THEMES.get(theme, theme)}')")
            self.contexts[kind] = context
        return self.contexts[kind]

    def is_ours(self, url):
        return url.startswith((self.base, "data:", "blob:"))

    def having(self, selector):
        """A visit to the first page that has such a thing."""
        for page in self.pages:
            tab = self.visit(page)
            if tab.locator(selector).count():
                return tab
            tab.close()
        raise AssertionError(f"no page has a {selector}")


def wrong(problems):
    assert not problems, "\n".join(problems)


@test
def every_page_renders_in_both_themes_and_widths_without_a_complaint(reader):
    problems = []
    for page in reader.pages:
        for theme in THEMES:
            for size, width in WIDTHS.items():
                where = f"{page} {theme} {size}"
                tab = reader.visit(page, theme, width)
                tab.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
                problems += [f"{where}: {complaint}" for complaint in tab.complaints]
                problems += [f"{where}: {what}" for what in tab.evaluate(TOO_WIDE)]
                tab.screenshot(path=SCREENSHOTS / f"{page[:-5]}-{theme}-{size}.png", full_page=True)
                tab.close()
    wrong(problems)


# What is wider than the page scrolls by itself; nothing else leaves it, to the right or to the left.
TOO_WIDE = """() => {
  const wide = document.documentElement.clientWidth, problems = [];
  if (document.documentElement.scrollWidth > wide)
    problems.push(`scrolls sideways: ${document.documentElement.scrollWidth} of ${wide}`);
  const scrolls = (element) => element && !element.matches('.content, .page, body') &&
    (['auto', 'scroll', 'hidden'].includes(getComputedStyle(element).overflowX) || scrolls(element.parentElement));
  const culprits = [...document.querySelectorAll('main *')].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width && (box.right > wide + 1 || box.left < -1) && !scrolls(element.parentElement);
  });
  return problems.concat(culprits.slice(0, 3).map((one) => `leaves the page: ${one.outerHTML.slice(0, 90)}`));
}"""


@test
def light_and_dark_are_different_and_can_be_read(reader):
    problems, grounds = [], set()
    for theme in THEMES:
        for page in reader.pages:
            tab = reader.visit(page, theme)
            tab.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
            grounds.add(tab.evaluate("getComputedStyle(document.body).backgroundColor + getComputedStyle(document.documentElement).backgroundColor"))
            problems += [f"{page} {theme}: {what}" for what in tab.evaluate(CONTRAST)]
            tab.close()
    assert len(grounds) == len(THEMES), f"the themes have the same ground: {grounds}"
    wrong(problems)


# Text on a plain ground of its own or of what it stands in: WCAG's ratio, 4.5 for small text.
# Code is left to mdBook's highlighting, pictures have theirs in the next test.
CONTRAST = """() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const numbers = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const light = ([r, g, b]) => {
    const part = (v) => { v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const colour = numbers(getComputedStyle(one).backgroundColor);
      if (colour[3] > 0.99) return colour;
    }
    return numbers('white');
  };
  const bad = new Set();
  for (const element of document.querySelectorAll('main *, .stepper button')) {
    if (element.closest('svg, pre, [aria-disabled=true]') || ![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    const style = getComputedStyle(element);
    if (style.visibility === 'hidden') continue;
    const [a, b] = [light(numbers(style.color)), light(ground(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) bad.add(`contrast ${ratio.toFixed(1)}: <${element.tagName.toLowerCase()} class="${element.className}"> ${element.textContent.trim().slice(0, 40)}`);
  }
  return [...bad].slice(0, 5);
}"""


@test
def every_picture_has_a_name_and_keeps_its_texts_apart(reader):
    problems, count = [], 0
    for page in reader.pages:
        for size, width in WIDTHS.items():
            tab = reader.visit(page, width=width)
            pictures = tab.locator("main svg")
            tab.evaluate("document.querySelectorAll('details').forEach(fold => fold.open = true)")
            tab.evaluate("document.querySelectorAll('.stepper').forEach(one => one.classList.remove('live'))")
            for number in range(pictures.count()):
                count += 1
                picture = pictures.nth(number)
                seen = picture.aria_snapshot()
                if not re.match(r"""- '?img "..""", seen):
                    problems.append(f"{page}: picture {number + 1} has no name for who can't see it: {seen}")
                name = picture.locator("title").first.text_content() or ""
                problems += [f"{page} {size}: “{name}”: {what}" for what in picture.evaluate(CROWDED)]
            tab.close()
    assert count, "no picture in the book"
    wrong(problems)


# Texts that leave their picture or cover each other.
CROWDED = """(svg) => {
  const frame = svg.viewBox.baseVal;
  const texts = [...svg.querySelectorAll('text')].filter((text) => text.textContent.trim()).map((text) => {
    const box = text.getBBox();
    const own = text.getCTM(), base = svg.getCTM();
    const scale = own.a / (base ? base.a : 1) || 1;
    const dx = base ? (own.e - base.e) / base.a : 0, dy = base ? (own.f - base.f) / base.d : 0;
    return { text: text.textContent.trim(), size: parseFloat(getComputedStyle(text).fontSize),
      x: box.x * scale + dx, y: box.y * scale + dy, w: box.width * scale, h: box.height * scale };
  });
  const bad = [];
  texts.forEach((a, i) => {
    if (a.x < frame.x - 1 || a.x + a.w > frame.x + frame.width + 1 || a.y < frame.y - 3 || a.y + a.h > frame.y + frame.height + 4)
      bad.push(`"${a.text}" leaves the picture (${a.x.toFixed()}–${(a.x + a.w).toFixed()} of ${frame.width}, ${a.y.toFixed()}–${(a.y + a.h).toFixed()} of ${frame.height})`);
    for (const b of texts.slice(i + 1)) {
      const across = Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x);
      const down = Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y);
      if (across > 2 && down > 6.5) bad.push(`"${a.text}" and "${b.text}" cover each other`);
    }
  });
  const width = svg.getBoundingClientRect().width, least = Math.min(...texts.map((text) => text.size)) * width / frame.width;
  if (least < 9.5) bad.push(`its smallest text is ${least.toFixed(1)} px high`);
  return bad;
}"""


@test
def the_stepper_goes_by_mouse(reader):
    tab = reader.having(".stepper")
    stepper = tab.locator(".stepper").first
    steps = stepper.locator(":scope > .step")
    count = steps.count()
    assert count > 1, f"a stepper of {count} steps"
    assert stepper.get_attribute("aria-label"), "the stepper has no name"
    assert shown(stepper) == [0], shown(stepper)
    for number in range(1, count):
        stepper.get_by_role("button", name="Next").click()
        assert shown(stepper) == [number], shown(stepper)
        stepper.screenshot(path=SCREENSHOTS / f"stepper-{number + 1}.png")
    stepper.get_by_role("button", name="Next").click(force=True)
    assert shown(stepper) == [count - 1], "it steps past its end"
    stepper.get_by_role("button", name="Back").click()
    assert shown(stepper) == [count - 2], shown(stepper)


def shown(stepper):
    """Which steps a reader sees; and a screen reader, which is told no others."""
    visible = stepper.locator(":scope > .step").evaluate_all(
        "steps => steps.flatMap((step, number) => getComputedStyle(step).visibility === 'visible' ? [number] : [])"
    )
    heard = len(re.findall(r"- '?figure", stepper.aria_snapshot()))
    assert heard == len(visible), f"{heard} steps are heard, {len(visible)} seen"
    return visible


@test
def the_stepper_goes_by_keyboard_and_says_where_it_is(reader):
    tab = reader.having(".stepper")
    stepper, place = tab.locator(".stepper").first, tab.url
    count = stepper.locator(":scope > .step").count()
    for _ in range(200):  # as a reader would: Tab, until it is reached
        tab.keyboard.press("Tab")
        if stepper.evaluate("stepper => stepper === document.activeElement"):
            break
    else:
        raise AssertionError("Tab never reaches the stepper")
    outline = stepper.evaluate("stepper => getComputedStyle(stepper).outlineStyle + getComputedStyle(stepper).outlineWidth")
    assert outline.startswith("solid") and outline != "solid0px", f"the focus can't be seen: {outline}"
    for key, wanted in [("ArrowRight", 1), ("ArrowLeft", 0), ("ArrowLeft", 0), ("End", count - 1), ("ArrowRight", count - 1), ("Home", 0)]:
        tab.keyboard.press(key)
        assert shown(stepper) == [wanted], f"{key}: {shown(stepper)}"
    assert tab.url == place, f"the arrow keys turned the page: {tab.url}"
    tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")
    tab.keyboard.press("Enter")
    assert shown(stepper) == [1], "Enter on the second button"
    said = stepper.locator("[aria-live=polite]").text_content()
    caption = stepper.locator(":scope > .step").nth(1).locator("figcaption").text_content().strip()
    assert said.startswith(f"Step 2 of {count}.") and caption[:30] in said, said


@test
def without_scripts_every_step_is_there(reader):
    with_script = reader.having(".stepper")
    tab = reader.visit(with_script.url.rsplit("/", 1)[1], script=False)
    steps = tab.locator(".stepper > .step")
    assert steps.count() > 1
    tops = [steps.nth(number).bounding_box()["y"] for number in range(steps.count())]
    assert all(steps.nth(number).is_visible() for number in range(steps.count()))
    assert tops == sorted(set(tops)), f"they lie over each other: {tops}"


@test
def folds_and_quiz_answers_open_by_mouse_and_keyboard(reader):
    for kind in ["details:not(.answer)", "details.answer"]:
        tab = reader.having(f"main {kind}")
        place = tab.url
        fold = tab.locator(f"main {kind}").first
        fold.evaluate("fold => { for (let one = fold.parentElement; one; one = one.parentElement) if (one.tagName === 'DETAILS') one.open = true }")
        summary = fold.locator("summary").first
        body = fold.locator(":scope > :not(summary)").first
        assert not body.is_visible(), f"{kind} is open from the first"
        summary.click()
        assert body.is_visible(), f"{kind} does not open by mouse"
        summary.focus()
        tab.keyboard.press("Enter")
        assert not body.is_visible(), f"{kind} does not close by keyboard"
        tab.keyboard.press("Space")
        assert body.is_visible(), f"{kind} does not open by keyboard"
        assert tab.url == place


@test
def every_quiz_answer_says_right_or_no_and_one_is_right(reader):
    problems, count = [], 0
    for page in reader.pages:
        tab = reader.visit(page)
        # Each question is a run of answers: its first has something else before it.
        for question in tab.locator("details.answer").evaluate_all("""all => all
            .filter(one => !one.previousElementSibling?.matches('details.answer'))
            .map(one => {
              const answers = [];
              for (let next = one; next?.matches('details.answer'); next = next.nextElementSibling)
                answers.push([...next.children].slice(1).map(part => part.textContent).join(' ').trim());
              return answers;
            })"""):
            right = sum(answer.startswith("Right") for answer in question)
            if right != 1:
                problems.append(f"{page}: a question has {right} right answers: {question[0][:60]}")
        for text in tab.locator("details.answer").evaluate_all("all => all.map(one => [...one.children].slice(1).map(part => part.textContent).join(' ').trim())"):
            count += 1
            if not re.match(r"(Right|No)\b", text):
                problems.append(f"{page}: an answer begins with neither Right nor No: {text[:60]}")
        tab.close()
    assert count, "no quiz in the book"
    wrong(problems)


@test
def copying_a_console_block_takes_what_is_typed_and_no_more(reader):
    tab = reader.having("code.language-console")
    tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    block = tab.locator("pre:has(> code.language-console)").first
    block.evaluate("block => { for (let one = block; one; one = one.parentElement) if (one.tagName === 'DETAILS') one.open = true }")
    typed = block.locator(".console-typed").all_text_contents()
    block.hover()
    block.locator(".clip-button").click()
    copied = tab.evaluate("navigator.clipboard.readText()")
    assert copied.strip().splitlines() == [line for text in typed for line in text.splitlines()], copied


@test
def a_listing_begins_at_the_margin_and_shows_no_task(reader):
    problems = []
    for page in reader.pages:
        tab = reader.visit(page)
        for text in tab.locator("code.language-rust").all_text_contents():
            lines = [line for line in text.splitlines() if line.strip()]
            if lines and min(len(line) - len(line.lstrip()) for line in lines) > 0 or "// |" in text:
                problems.append(f"{page}: {text[:80]}")
        problems += [f"{page}: {complaint}" for complaint in tab.complaints]
        tab.close()
    wrong(problems)


@test
def search_finds_pivot_root(reader):
    tab = reader.visit(reader.pages[0])
    tab.keyboard.press("/")
    bar = tab.locator("#mdbook-searchbar")
    bar.wait_for(state="visible")
    bar.type("pivot_root", delay=20)
    # Each letter is looked for, so there are results before all of them are typed.
    tab.locator("#mdbook-searchresults-header", has_text="pivot_root").wait_for(state="visible")
    result = tab.locator("#mdbook-searchresults a").first
    result.wait_for(state="visible")
    assert "02-" in result.get_attribute("href"), result.get_attribute("href")
    tab.screenshot(path=SCREENSHOTS / "search.png")
    result.click()
    tab.wait_for_url("**/02-*", wait_until="load")
    assert "pivot_root" in tab.locator("main").inner_text()
    wrong(tab.complaints)


def chromium():
    names = [os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"]
    return next(filter(None, (shutil.which(name) for name in names if name)))


def main():
    server = Server(("127.0.0.1", 0), functools.partial(QuietServer, directory=str(BOOK)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    failed, tests = 0, [test for test in TESTS if all(word in test.__name__ for word in sys.argv[3:])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=options)
        reader = Reader(browser, f"http://127.0.0.1:{server.server_port}/")
        for function in tests:
            name = function.__name__.replace("_", " ")
            try:
                function(reader)
                print(f"ok      {name}", flush=True)
            except Exception as error:  # a failed test must not hide those after it
                failed += 1
                print(f"FAILED  {name}", flush=True)
                text = str(error) or traceback.format_exc()
                print("\n".join(f"    {line}" for line in text.splitlines()[:40]), flush=True)
            for context in browser.contexts:
                for tab in context.pages:
                    tab.close()
        browser.close()
    print(f"{len(tests) - failed} of {len(tests)} tests in the browser passed; pictures of it in {SCREENSHOTS}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
