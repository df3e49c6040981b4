"""The options of procedural rooms, as frozen configs."""

from sightline.config import config


@config
class SensorOptions:
    """A depth sensor and a tracker that err. Everything is off until `enabled`; what was on is recorded in `capture.yaml`."""

    enabled: bool = False
    hole_edge_px: int = 1  # depth steps lose this many pixels on both sides
    hole_glancing_deg: float = 12.0  # surfaces seen flatter than this give no reading
    hole_rate: float = 0.002  # share of readings lost at random
    max_range_m: float = 8.0  # phone sensors end between 5 and 10 m
    quantisation_m: float = 0.001
    noise_m_at_1m: float = 0.001  # standard deviation, growing with the square of the depth as structured light does
    pose_jitter_m: float = 0.005
    pose_jitter_deg: float = 0.2


@config
class RoomsOptions:
    """What `sightline rooms` draws. The output depends on these, the seed and the scan id, on nothing else."""

    width: int = 320
    height: int = 240
    horizontal_fov_deg: float = 70.0
    num_frames: int = 24
    min_rooms: int = 1
    max_rooms: int = 4
    density: float = 1.0  # how full rooms are, 0 (only the largest pieces) to 1
    antialias: bool = True
    shadows: bool = True
    step_m: float = 0.4  # the camera moves at most this far from one frame to the next
    turn_deg: float = 25.0  # and turns at most this far; together they control the overlap of neighbours
    second_pass: bool = False  # walk again after some objects moved, and write exact point tracks
    sensor: SensorOptions = SensorOptions()
