"""SVG elements as escaped markup: the one way in which charts, plans and cards are drawn."""

from collections.abc import Iterable

from sightline.errors import MissingExtraError

try:
    from markupsafe import Markup, escape
except ModuleNotFoundError as error:
    raise MissingExtraError("markupsafe", "view") from error

Child = Markup | str | None


def number(value: float) -> str:
    """A coordinate with at most two decimals: a hundredth of a pixel is finer than a screen."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def element(tag: str, *children: Child, **attributes: object) -> Markup:
    """One element. `stroke_width=2` becomes `stroke-width="2"`, `class_` becomes `class`; None is left out; all text is escaped."""
    written = []
    for name, value in attributes.items():
        if value is None:
            continue
        text = number(value) if isinstance(value, float) else str(value)
        written.append(f' {name.rstrip("_").replace("_", "-")}="{escape(text)}"')
    inner = "".join(str(escape(child)) for child in children if child is not None)
    return Markup(f"<{tag}{''.join(written)}>{inner}</{tag}>")  # every part was escaped above


def group(children: Iterable[Child], **attributes: object) -> Markup:
    """A `<g>`."""
    return element("g", *children, **attributes)


def canvas(children: Iterable[Child], *, width: float, height: float, label: str, class_: str = "chart") -> Markup:
    """A scalable `<svg>` with a text for screen readers."""
    return element("svg", element("title", label), *children, viewBox=f"0 0 {number(width)} {number(height)}", class_=class_, role="img")


def line(x1: float, y1: float, x2: float, y2: float, **attributes: object) -> Markup:
    return element("line", x1=float(x1), y1=float(y1), x2=float(x2), y2=float(y2), **attributes)


def rect(x: float, y: float, width: float, height: float, *children: Child, **attributes: object) -> Markup:
    return element("rect", *children, x=float(x), y=float(y), width=float(width), height=float(height), **attributes)


def circle(x: float, y: float, radius: float, *children: Child, **attributes: object) -> Markup:
    return element("circle", *children, cx=float(x), cy=float(y), r=float(radius), **attributes)


def text(x: float, y: float, content: str, **attributes: object) -> Markup:
    return element("text", content, x=float(x), y=float(y), **attributes)


def points(pairs: Iterable[tuple[float, float]]) -> str:
    """The `points` attribute of a polygon or polyline."""
    return " ".join(f"{number(x)},{number(y)}" for x, y in pairs)
