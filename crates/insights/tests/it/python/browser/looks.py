"""How pages look, and whether everybody can read them: pictures, axe, charts, numbers, widths."""

import datetime
import json
import re
from pathlib import Path

WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 390, "height": 844}
PROJECTOR = {"width": 1920, "height": 1080}

# What the picture of a page is called: its address, without what a file cannot be called.
def _file(name):
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "overview"


class Looks:
    """Takes pictures, and finds what is wrong."""

    def __init__(self, folder, axe):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.axe = Path(axe).read_text(encoding="utf-8")

    def picture(self, page, name):
        """A picture of the whole page."""
        page.evaluate("() => document.activeElement?.blur()")
        page.mouse.move(0, 0)
        page.screenshot(path=self.folder / f"{_file(name)}.png", full_page=True, caret="initial")

    def dark(self, page):
        """Whether the page has become dark, for who likes it so."""
        page.emulate_media(color_scheme="dark")
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        shades = [int(number) for number in re.findall(r"\d+", colour)[:3]]
        return [] if shades and max(shades) < 90 else [f"the background is {colour} in the dark"]

    def light(self, page):
        page.emulate_media(color_scheme="light")

    def sideways(self, page):
        """What sticks out of the window, beside what scrolls by itself."""
        sticks = page.evaluate(
            """() => {
              const root = document.scrollingElement;
              if (root.scrollWidth <= root.clientWidth) return null;
              const wide = [...document.querySelectorAll('body *')].filter((it) =>
                it.getBoundingClientRect().right > root.clientWidth + 1 && !it.closest('.rows, nav'));
              return `${root.scrollWidth} px: ${wide.slice(0, 3).map((it) => it.outerHTML.slice(0, 90)).join(' | ')}`;
            }"""
        )
        return [f"scrolls sideways, {sticks}"] if sticks else []

    def serious(self, page):
        """What axe finds that keeps people out."""
        page.evaluate(self.axe)
        # It would fetch our style sheets, and pages fetch nothing but their parts.
        found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'], preload: false })")
        bad = [it for it in found["violations"] if it["impact"] in ("serious", "critical")]
        return [
            f"axe: {it['impact']} {it['id']}, {len(it['nodes'])}: {it['nodes'][0]['html'][:160]}"
            f" ({it['nodes'][0]['failureSummary'][:200]})"
            for it in bad
        ]


# --- charts ------------------------------------------------------------------------------------

CHARTS = """() => [...document.querySelectorAll('figure .picture svg')].map((svg) => {
  const size = (it) => it.getBoundingClientRect();
  const shapes = [...svg.querySelectorAll('.series path, .series rect, .series circle, .series polyline, .series line')];
  const part = svg.closest('[data-part]');
  return {
    part: part?.dataset.part ?? '',
    heading: part?.querySelector('h2')?.textContent ?? '',
    label: svg.getAttribute('aria-label') || svg.querySelector('title')?.textContent || '',
    width: size(svg).width,
    height: size(svg).height,
    series: [...svg.querySelectorAll('.series')].map((it) => it.dataset.name),
    drawn: shapes.filter((it) => size(it).width + size(it).height > 0).length,
    shapes: shapes.length,
    inked: shapes.filter((it) => {
      const style = getComputedStyle(it);
      return style.stroke !== 'none' || style.fill !== 'none';
    }).length,
    words: [...svg.querySelectorAll('text')].filter((it) => it.textContent.trim() && size(it).width > 0).length,
    points: [...svg.querySelectorAll('[data-values]')].map((it) => [it.dataset.label, it.dataset.values]),
    says: svg.querySelector('desc')?.textContent ?? '',
    isEmpty: svg.querySelector('.no-data') !== null,
  };
})"""


def charts(page):
    """All charts of a page, as they were drawn."""
    return page.evaluate(CHARTS)


def charts_are_drawn(page):
    """What is wrong with the charts of a page."""
    wrong = []
    for chart in charts(page):
        name = chart["heading"] or chart["label"] or chart["part"]
        if chart["width"] < 100 or chart["height"] < 40:
            wrong.append(f"chart {name!r} is {chart['width']:.0f} by {chart['height']:.0f}")
        if not chart["label"] or not chart["says"]:
            wrong.append(f"chart {name!r} says {chart['label']!r}, {chart['says']!r} to who cannot see it")
        if not chart["words"]:
            wrong.append(f"chart {name!r} has no words")
        if chart["isEmpty"]:
            continue
        if not chart["drawn"] or not chart["inked"]:
            wrong.append(f"chart {name!r} shows {chart['drawn']} of {chart['shapes']} shapes, {chart['inked']} with ink")
        if not chart["points"]:
            wrong.append(f"chart {name!r} tells no values")
    return wrong


def tells(chart, values):
    """What is wrong if the chart should tell these values, one for each place; None is not known."""
    told = [values_told.split("|")[0] for _, values_told in chart["points"]]
    meant = ["not known" if value is None else str(value) for value in values]
    if told != meant:
        return [f"chart {chart['heading']!r} tells {told} in place of {meant}"]
    return []


# --- numbers -----------------------------------------------------------------------------------

# Told on hover by the script; a few of each page are pointed at.
MOST_POINTED_AT = 3


def numbers_are_explained(page):
    """What is wrong with the numbers of a page."""
    wrong = []
    now = datetime.datetime.now(datetime.timezone.utc)
    numbers = page.locator(".number")
    for about in numbers.evaluate_all(
        "all => all.map((it) => ({ text: it.textContent, tab: it.tabIndex, ...it.dataset }))"
    ):
        text = about["text"].strip()
        missing = [key for key in ("definition", "source", "at") if not about.get(key)]
        if missing:
            wrong.append(f"number {text!r} has no {', '.join(missing)}")
            continue
        at = datetime.datetime.fromisoformat(about["at"].replace("Z", "+00:00"))
        if at > now + datetime.timedelta(minutes=1):
            wrong.append(f"number {text!r} is of the future, {about['at']}")
        if about["tab"] != 0:
            wrong.append(f"number {text!r} cannot be reached by keys")
        if not text:
            wrong.append(f"the number of {about['definition']!r} is empty")
    seen = [numbers.nth(i) for i in range(numbers.count()) if numbers.nth(i).is_visible()][:MOST_POINTED_AT]
    for number in seen:
        wrong += is_told(page, number, "hover", number.hover)
        page.mouse.move(0, 0)
        page.keyboard.press("Escape")
        wrong += is_told(page, number, "focus", number.focus)
        page.keyboard.press("Escape")
        if page.locator("[role=tooltip]:visible").count():
            wrong.append("what a number means stays after Escape")
    return wrong


def is_told(page, number, how, do):
    """What is wrong with what is shown when one points at a number."""
    do()
    tip = page.locator("[role=tooltip]:visible")
    if not tip.count():
        return [f"nothing is told on {how} of {number.text_content()!r}"]
    told = tip.first.inner_text()
    about = number.evaluate("it => ({ definition: it.dataset.definition, source: it.dataset.source })")
    missing = [key for key, text in about.items() if text and text not in told]
    if not re.search(r"\d", told.replace(about["definition"] or "", "").replace(about["source"] or "", "")):
        missing.append("age")
    return [f"{', '.join(missing)} of {number.text_content()!r} not told on {how}: {told!r}"] if missing else []


def dumps(value):
    """For messages."""
    return json.dumps(value, ensure_ascii=False)[:300]
