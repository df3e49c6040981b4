"""The contract of an export: samples with their images at hand, written the way another trainer or benchmark reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol

from pydantic import Field

from sightline.catalog import Catalog
from sightline.config import config
from sightline.samples.sample import Sample


@config
class ExportOptions:
    """How the images travel. An image without marks is never encoded again unless a size is asked for."""

    images: Literal["link", "copy", "path"] = "link"  # path: rows name the files of the scene store, nothing is copied
    bake_marks: bool = True  # draw marks into copies; False leaves samples with marks out
    marked_as: Literal["jpg", "png"] = "jpg"  # of copies with marks or of another size; JPEG of quality 95 without colour subsampling
    width: Annotated[int, Field(ge=8, le=16384)] | None = None  # with height: every image at that size
    height: Annotated[int, Field(ge=8, le=16384)] | None = None
    allow_gated_images: bool = False  # copies of images that may not be passed on, for one's own use
    data_urls: bool = False  # images inside the rows as base64, where the format can


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedImage:
    """An image that a row shows: its path from the export's folder, with forward slashes, and its size."""

    path: str
    width: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportRow:
    """A sample with its images as they lie in the export. `video` is the path of one that shows all of them instead, where there is one."""

    sample: Sample
    images: tuple[ExportedImage, ...]
    video: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportAbout:
    """What a format may say about the whole. `folder` is where files are written now, `out` where they will lie in the end."""

    name: str  # of the data set, lower case, of letters, digits and underscores
    folder: Path
    out: Path
    options: ExportOptions
    licences: tuple[str, ...]
    sources: tuple[str, ...]
    is_gated: bool  # some of the images may not be passed on

    @property
    def holds_images(self) -> bool:
        """Whether copies of images lie in the export's folder; otherwise paths lead to the scene store."""
        return self.options.images != "path"


class ExportFormat(Protocol):
    """Writes rows. Files depend on the rows and on `about` alone: equal input gives equal bytes."""

    with_video: ClassVar[bool]  # long runs of images become one video file
    embeds_images: ClassVar[bool]  # the rows hold the images' bytes: no folder of images is kept
    takes_data_urls: ClassVar[bool]

    def write(self, rows: Mapping[str, Sequence[ExportRow]], about: ExportAbout) -> None:
        """Write the rows of each split (split -> rows, at least one each) into `about.folder`.

        Raises DataError where a text does not hold exactly one placeholder per image.
        """
        ...


EXPORTS: Catalog[type[ExportFormat]] = Catalog(
    "export format",
    {
        "internvl": "sightline.samples.formats.internvl:InternVl",
        "qwen": "sightline.samples.formats.qwen:Qwen",
        "qwen-video": "sightline.samples.formats.qwen:QwenVideo",
        "llava": "sightline.samples.formats.conversations:Llava",
        "sharegpt": "sightline.samples.formats.conversations:ShareGpt",
        "llamafactory-alpaca": "sightline.samples.formats.llamafactory:LlamaFactoryAlpaca",
        "llamafactory-sharegpt": "sightline.samples.formats.llamafactory:LlamaFactoryShareGpt",
        "openai": "sightline.samples.formats.openai:OpenAi",
        "huggingface": "sightline.samples.formats.huggingface:HuggingFace",
        "lmms-eval": "sightline.samples.formats.lmms_eval:LmmsEval",
    },
)
