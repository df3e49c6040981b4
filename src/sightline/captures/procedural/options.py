"""The options of procedural rooms, as frozen configs."""

from typing import Annotated

from pydantic import Field

from sightline.config import config

Length = Annotated[float, Field(ge=0.0, le=100.0)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Pixels = Annotated[int, Field(ge=8, le=8192)]


@config
class SensorOptions:
    """A depth sensor and a tracker that err. Everything is off until `enabled`; what was on is recorded in `capture.yaml`."""

    enabled: bool = False
    hole_edge_px: Annotated[int, Field(ge=0, le=10)] = 1  # depth steps lose this many pixels on both sides
    hole_glancing_deg: Annotated[float, Field(ge=0.0, lt=90.0)] = 12.0  # surfaces seen flatter than this give no reading
    hole_rate: Share = 0.002  # share of readings lost at random
    max_range_m: Annotated[float, Field(gt=0.0)] = 8.0  # phone sensors end between 5 and 10 m
    quantisation_m: Length = 0.001
    noise_m_at_1m: Length = 0.001  # standard deviation, growing with the square of the depth as structured light does
    pose_jitter_m: Length = 0.005
    pose_jitter_deg: Annotated[float, Field(ge=0.0, le=45.0)] = 0.2


@config
class RoomsOptions:
    """What `sightline rooms` draws. The output depends on these, the seed and the scan id, on nothing else."""

    width: Pixels = 320
    height: Pixels = 240
    horizontal_fov_deg: Annotated[float, Field(ge=20.0, le=120.0)] = 70.0
    num_frames: Annotated[int, Field(ge=1, le=100_000)] = 24
    min_rooms: Annotated[int, Field(ge=1, le=4)] = 1
    max_rooms: Annotated[int, Field(ge=1, le=4)] = 4
    density: Share = 1.0  # how full rooms are, 0 (only the largest pieces) to 1
    antialias: bool = True
    shadows: bool = True  # of lamps; the sun is always kept out by walls
    step_m: Annotated[float, Field(gt=0.0, le=5.0)] = 0.6  # the camera moves at most this far from one frame to the next
    turn_deg: Annotated[float, Field(gt=0.0, le=180.0)] = 35.0  # and turns at most this far; together they control the overlap
    second_pass: bool = False  # walk again while some objects move, and write exact point tracks
    sensor: SensorOptions = SensorOptions()

    def __post_init__(self) -> None:
        if self.min_rooms > self.max_rooms:
            raise ValueError(f"expected min_rooms <= max_rooms, found {self.min_rooms} and {self.max_rooms}")
