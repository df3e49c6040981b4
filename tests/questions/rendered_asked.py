"""A question as a reader sees it: words, dots and images, turned into frames, objects and numbers by regular expressions alone."""

import re
from functools import cached_property

import numpy as np
from rendered_world import Body, World

from sightline.questions.question import Mark, Question

UNITS = {
    "m": ("metres", 1.0),
    "cm": ("centimetres", 0.01),
    "mm": ("millimetres", 0.001),
    "deg": ("degrees", 1.0),
    "m2": ("square metres", 1.0),
}
SIDES = ("left", "right", "up", "down", "forward", "backward", "higher", "lower")
COLOURS = "red|blue|green|yellow"
SPOKEN = {"the set of ": "the ", "storage unit": "storage"}  # how things are called that nobody calls by their category
PAIR = re.compile(r"\[(\d+), (\d+)\]")
OPTION = re.compile(r"(?:^| )([A-H])\. (.*?)(?= [B-H]\. |$)")


class UntrueError(AssertionError):
    """What the images, matrices and solids say against an answer."""


def plural(name: str) -> str:
    """As an English reader would say it; written apart from the library's own rule."""
    if name.endswith(("blocks", "stairs")):
        return name
    if re.search(r"(s|x|z|ch|sh)$", name):
        return name + "es"
    if re.search(r"[^aeiou]y$", name):
        return name[:-1] + "ies"
    return name[:-1] + "ves" if name.endswith("shelf") else name + "s"


class Reading:
    """One question read against one world."""

    def __init__(self, world: World, question: Question) -> None:
        self.world, self.question = world, question
        self.text = question.text
        for spoken, category in SPOKEN.items():
            self.text = self.text.replace(spoken, category)
        self.frames = tuple(int(one) for one in question.frame_ids)
        self.form, self.value, self.reply = question.answer.format, question.answer.value, question.answer.text

    def need(self, is_true: bool, reason: str) -> None:
        if not is_true:
            raise UntrueError(reason)

    def search(self, pattern: str) -> re.Match:
        found = re.search(pattern, self.text)
        self.need(found is not None, f"the text says nothing like /{pattern}/")
        return found

    def says(self, pattern: str) -> bool:
        return re.search(pattern, self.text) is not None

    def one_of(self, **patterns: str) -> str:
        """The name of the one pattern that the text matches."""
        found = [name for name, pattern in patterns.items() if self.says(pattern)]
        self.need(len(found) == 1, f"the text asks for {found or 'none'} of {list(patterns)}")
        return found[0]

    @cached_property
    def options(self) -> dict[str, str]:
        """Letter to words, as the text lists them."""
        start = re.search(r" A\. ", self.text)
        self.need(start is not None, "the text lists no options")
        return {letter: words.strip() for letter, words in OPTION.findall(self.text[start.start() :])}

    @property
    def chosen(self) -> str:
        self.need(self.reply in self.options, f"letter {self.reply} is not listed")
        return self.options[self.reply]

    def expect_option(self, words: str) -> None:
        """The listed option with these words, and no other, is the answer."""
        self.need([one for one in self.options.values()].count(words) == 1, f"'{words}' is not listed once")
        self.need(self.chosen == words, f"said '{self.chosen}', true '{words}'")

    def expect_word(self, word: str) -> None:
        instruction = self.form.instruction()
        told = [one for one in self.form.words if one in SIDES and re.search(rf"\b{one}\b", self.text)]
        self.need(not told or len(told) == len(self.form.words) or self.says(r"to (?:the|its) right of"), f"the text offers {told} alone")
        self.need(all(re.search(rf"\b{one}\b", instruction) for one in self.form.words), "the instruction does not list the words")
        self.need(self.reply == word, f"said {self.reply}, true {word}")

    def expect_number(self, truth: float, tolerance: float) -> None:
        """`truth` and `tolerance` in metres, degrees or square metres; the spoken number may be off by half a last digit more."""
        name, unit = UNITS[self.form.unit]
        self.need(name in self.form.instruction(), f"the instruction does not ask for {name}")
        self.need(np.isfinite(truth), "the truth is not known")
        off, said_off = abs(self.value * unit - truth), abs(float(self.reply) * unit - truth)
        self.need(off <= tolerance, f"stored {self.value * unit:.4f}, true {truth:.4f} {self.form.unit}")
        self.need(said_off <= tolerance + 0.5001 * unit * 10.0**-self.form.decimals, f"said {self.reply}, true {truth / unit:.4f}")

    def expect_vector(self, truth: np.ndarray, tolerance: float) -> None:
        name, unit = UNITS[self.form.unit]
        self.need(
            name in self.form.instruction() and "right, down, forward" in self.form.instruction(), "the instruction lacks unit or axes"
        )
        said = np.array([float(one) for one in re.findall(r"-?\d+(?:\.\d+)?", self.reply)])
        self.need(np.abs(np.array(self.value) * unit - truth).max() <= tolerance, f"stored {self.value}, true {np.round(truth / unit, 4)}")
        last = 0.5001 * unit * 10.0**-self.form.decimals
        self.need(np.abs(said * unit - truth).max() <= tolerance + last, f"said {self.reply}, true {np.round(truth / unit, 4)}")

    def pixels(self, pair: tuple[float, float]) -> tuple[float, float]:
        """A coordinate of the text: thousandths from edge to edge, or pixels."""
        if re.search(r"\bpixels\b", self.text + self.form.instruction()):
            return pair
        return pair[0] * self.world.width / 1000.0 - 0.5, pair[1] * self.world.height / 1000.0 - 0.5

    @cached_property
    def named_pixels(self) -> list[tuple[float, float]]:
        return [self.pixels((float(x), float(y))) for x, y in PAIR.findall(self.text)]

    def mark(self, colour: str, place: int | None = None) -> Mark:
        """The one dot of a colour, in image `place` (from 1) where several are."""
        found = [one for one in self.question.marks if one.colour == colour]
        if place is not None:
            found = [one for one in found if int(one.frame_id) == self.frames[place - 1]]
        self.need(len(found) == 1, f"{len(found)} {colour} dots")
        return found[0]

    @cached_property
    def _names(self) -> str:
        return "|".join(sorted(map(re.escape, set(self.world.categories.values())), key=len, reverse=True))

    def body_at(self, mark: Mark) -> Body:
        """The object under a dot: by the instance image, and by depth inside the object's solids' box where it stood first."""
        frame = int(mark.frame_id)
        object_id = int(self.world.ids(frame)[round(mark.v_px), round(mark.u_px)])
        self.need(object_id >= 0, f"the {mark.colour} dot is on no object")
        body = self.world.bodies[object_id]
        off = body.distance_from(self.world.world_point(frame, mark.u_px, mark.v_px))
        self.need(off <= 0.03, f"the {mark.colour} dot is {off:.2f} m off the place of object {object_id}")
        return body

    @cached_property
    def mentions(self) -> tuple[str, list[Body]]:
        """The text with each named object replaced by @0, @1, ... in order, and the objects."""
        bodies: list[Body] = []

        def resolved(found: re.Match) -> str:
            name, colour, place = found.groups()
            if colour:
                body = self.body_at(self.mark(colour, int(place) if place else None))
                self.need(body.category == name, f"the {colour} dot is on a {body.category}, not a {name}")
            else:
                members = [one for one, category in self.world.categories.items() if category == name]
                self.need(len(members) == 1, f"there are {len(members)} of '{name}'")
                body = self.world.bodies[members[0]]
            bodies.append(body)
            return f"@{len(bodies) - 1}"

        pattern = rf"(?:the )?\b({self._names})(?: \(({COLOURS}) dot(?: in image (\d+))?\))"
        pattern += rf"|(?<!one of )(?<!any of )\bthe ({self._names})\b"
        text = re.sub(pattern, lambda m: resolved(_Found(m)), self.text)
        self.need({one.object_id for one in bodies} <= set(self.question.object_ids), "an object of the text is not among the object ids")
        return text, bodies

    @property
    def category(self) -> str:
        """The one category that the text names in the plural, beside things it names by `the`."""
        text = re.sub(rf"(?<!one of )(?<!any of )\bthe ({self._names})\b", "", self.text)
        found = {one for one in set(self.world.categories.values()) if re.search(rf"\b{re.escape(plural(one))}\b", text)}
        found = {one for one in found if not any(one != other and plural(other).endswith(plural(one)) for other in found)}
        self.need(len(found) == 1, f"the text names {sorted(found)} in the plural")
        return found.pop()

    def members(self, category: str) -> list[Body]:
        return [self.world.bodies[one] for one, name in self.world.categories.items() if name == category]


class _Found:
    """A match whose two alternatives have the same groups."""

    def __init__(self, found: re.Match) -> None:
        name, colour, place, bare = found.groups()
        self._groups = (name or bare, colour, place)

    def groups(self) -> tuple[str | None, ...]:
        return self._groups
