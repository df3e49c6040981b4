"""A small analytic scene on disk (a box room with a table), samples that show it, and a full set of report inputs."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.answers.choice import Choice
from sightline.answers.number import Number
from sightline.captures.capture import Frame, Opening, Room, SceneObject, Structure, Wall
from sightline.captures.images import write_rgb_png, write_uint16_png
from sightline.evaluation.run import evaluate
from sightline.geometry.boxes import Box
from sightline.geometry.cameras import Intrinsics
from sightline.geometry.transforms import look_at
from sightline.inference.replies import Reply
from sightline.questions.question import Mark
from sightline.reports.inputs import ReportInputs, SkipCount, StepTime, TrainingRun
from sightline.samples.sample import Sample
from sightline.scenes.scene import Scene, Verification

ROOM_M = np.array([4.0, 3.0, 2.5])
TABLE = Box.upright(centre_world=np.array([2.0, 1.5, 0.4]), size_m=np.array([1.2, 0.8, 0.8]), yaw_rad=0.4)
CAMERA = Intrinsics.from_field_of_view(horizontal_deg=75.0, width=96, height=72)
DEPTH_SCALE_M = 0.001
WALL_COLOURS = np.array([[200, 60, 60], [60, 200, 60], [60, 60, 200], [200, 200, 60], [60, 200, 200], [230, 230, 230]])
TABLE_COLOUR = np.array([120, 72, 30])


def render(world_from_camera):
    """Exact colour and z-depth of the box room: where each ray leaves the room, or enters the table before that."""
    v, u = np.mgrid[0 : CAMERA.height, 0 : CAMERA.width].astype(np.float64)
    rays = np.stack([(u - CAMERA.cx) / CAMERA.fx, (v - CAMERA.cy) / CAMERA.fy, np.ones_like(u)], axis=-1)
    rays_world = rays @ world_from_camera[:3, :3].T
    eye = world_from_camera[:3, 3]
    with np.errstate(divide="ignore"):
        leave = np.where(rays_world > 0, (ROOM_M - eye) / rays_world, -eye / rays_world)
    depth_m, wall = leave.min(axis=-1), leave.argmin(axis=-1)
    side = np.take_along_axis(rays_world > 0, wall[..., None], axis=-1)[..., 0]
    rgb = WALL_COLOURS[wall * 2 + side]
    turn = TABLE.world_from_object[:3, :3]
    near, far = [], []
    for axis in range(3):
        direction, start = rays_world @ turn[:, axis], (eye - TABLE.centre_world) @ turn[:, axis]
        a, b = (-TABLE.size_m[axis] / 2 - start) / direction, (TABLE.size_m[axis] / 2 - start) / direction
        near.append(np.minimum(a, b))
        far.append(np.maximum(a, b))
    enter, exit_ = np.max(near, axis=0), np.min(far, axis=0)
    hit = (enter < exit_) & (enter > 0) & (enter < depth_m)
    return np.where(hit[..., None], TABLE_COLOUR, rgb).astype(np.uint8), np.where(hit, enter, depth_m)


def write_scene(store, scan_id="box_room"):
    """The scene with four frames, its cloud unprojected from their depth."""
    root = store / scan_id
    (root / "color").mkdir(parents=True)
    (root / "depth").mkdir()
    frames, clouds = [], []
    for index, (eye, target) in enumerate(
        [
            ((0.4, 0.4, 1.5), (3.0, 2.0, 0.6)),
            ((3.6, 0.4, 1.5), (1.0, 2.0, 0.6)),
            ((3.6, 2.6, 1.5), (1.0, 1.0, 0.6)),
            ((0.4, 2.6, 1.5), (3.0, 1.0, 0.6)),
        ]
    ):
        pose = look_at(np.array(eye), np.array(target))
        rgb, depth_m = render(pose)
        rgb_path, depth_path = root / "color" / f"{index:06d}.png", root / "depth" / f"{index:06d}.png"
        write_rgb_png(rgb_path, rgb)
        write_uint16_png(depth_path, np.rint(depth_m / DEPTH_SCALE_M).astype(np.uint16))
        frames.append(
            Frame(
                frame_id=f"{index:06d}",
                time_s=0.5 * index,
                rgb_path=rgb_path,
                depth_path=depth_path,
                depth_scale_m=DEPTH_SCALE_M,
                intrinsics=CAMERA,
                depth_intrinsics=CAMERA,
                world_from_camera=pose,
            )
        )
        v, u = np.mgrid[0 : CAMERA.height : 2, 0 : CAMERA.width : 2]
        uv = np.stack([u.ravel(), v.ravel()], axis=1).astype(np.float64)
        points_camera = CAMERA.unproject(uv, depth_m[v.ravel(), u.ravel()])
        clouds.append(points_camera @ pose[:3, :3].T + pose[:3, 3])
    outline = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 3.0], [0.0, 3.0]])
    corners = np.c_[outline, np.zeros(4)]
    walls = tuple(
        Wall(wall_id=index, a_world=corners[index], b_world=corners[(index + 1) % 4], height_m=2.5, thickness_m=0.1) for index in range(4)
    )
    openings = (
        Opening(kind="door", wall_id=0, centre_world=np.array([1.0, 0.0, 1.0]), width_m=0.9, height_m=2.0, rooms=(0,)),
        Opening(kind="window", wall_id=2, centre_world=np.array([2.0, 3.0, 1.5]), width_m=1.2, height_m=1.0, rooms=(0,)),
        Opening(kind="opening", wall_id=1, centre_world=np.array([4.0, 1.0, 1.0]), width_m=1.0, height_m=2.0, rooms=(0,)),
    )
    return Scene(
        scan_id=scan_id,
        place_id=scan_id,
        source="rooms",
        licence="CC0-1.0",
        root=root,
        frames=tuple(frames),
        points_world=np.concatenate(clouds).astype(np.float32),
        point_object_ids=None,
        objects=(SceneObject(object_id=0, category="table", box=TABLE, front_world=np.array([1.0, 0.0, 0.0])),),
        structure=Structure(
            rooms=(Room(room_index=0, label="kitchen", outline_world=outline, floor_z_m=0.0, ceiling_z_m=2.5),),
            walls=walls,
            openings=openings,
        ),
        verification=Verification(
            pairs_checked=6,
            agreement=0.987,
            residual_m=0.0042,
            depth_coverage=1.0,
            gravity_tilt_deg=0.1,
            frames_used=4,
            frames_skipped={"pose_not_finite": 1},
        ),
        notes={},
    )


def make_sample(index, task, answer_format, value, *, split="held_out", scan_id="box_room", frames=(0, 1), question="Which dot is nearer?"):
    return Sample(
        sample_id=f"{scan_id}/{task}/{index}",
        task=task,
        split=split,
        scan_id=scan_id,
        place_id=scan_id,
        frame_ids=tuple(f"{frame:06d}" for frame in frames),
        image_paths=tuple(f"box_room/color/{frame:06d}.png" for frame in frames),
        marks=(
            Mark(frame_id="000000", u_px=30.0, v_px=40.0, colour="red", label="A"),
            Mark(frame_id="000000", u_px=70.0, v_px=20.0, colour="blue", label="B"),
        ),
        question=question,
        answer_kind=answer_format.kind,
        answer_options=answer_format.to_row(),
        answer_text=answer_format.render(value),
        answer_value=value,
        evidence={"gap_m": 1.23456, "overlap": 0.61, "margin_deg": 12.0, "nearer": "red"},
        template_id=f"{task}.{index % 2}",
        seed=7,
        generator_version="0.1.0",
        source="rooms",
        licence="CC0-1.0",
    )


def make_samples():
    choice, number = Choice(options=("red", "blue", "the same", "neither")), Number(unit="m", decimals=1)
    rows = [make_sample(i, "depth_comparison", choice, "AB"[i % 2]) for i in range(24)]
    rows += [make_sample(i, "depth_estimation", number, 0.5 + 0.3 * (i % 9), frames=(0,)) for i in range(24)]
    rows += [make_sample(i, "depth_comparison", choice, "AABC"[i % 4], split="train", scan_id="train_room") for i in range(24)]
    rows += [make_sample(i, "depth_estimation", number, 0.6 + 0.2 * (i % 12), split="train", scan_id="train_room") for i in range(24)]
    return rows


@dataclass(frozen=True, kw_only=True)
class Made:
    scene: Scene
    inputs: ReportInputs
    store: Path


def make_everything(root):
    """Inputs in which every section of the report has something to show."""
    store = root / "store"
    scene = write_scene(store)
    samples = make_samples()
    held_out, train = [s for s in samples if s.split == "held_out"], [s for s in samples if s.split == "train"]

    def say(texts):
        return [Reply(sample_id=one.sample_id, text=text, tokens=2, seconds=0.1) for one, text in zip(held_out, texts)]

    truth = [one.answer_text for one in held_out]
    evaluations, results = [], {}
    for model, texts in (
        ("none", ["A" if one.answer_kind == "choice" else "1.0" for one in held_out]),
        ("sin3d", ["no idea" if i in (3, 30) else text for i, text in enumerate(truth)]),
    ):
        evaluation, scored = evaluate(held_out, say(texts), train, model=model, card={"seed": 0}, seed=0, blind_replies=say(["A"] * 48))
        evaluations.append(evaluation)
        results[model] = tuple(scored)
    runs = []
    for model in ("none", "sin3d"):
        path = root / f"{model}.jsonl"
        rows = [
            {
                "update": update,
                "loss": 3.0 / update,
                "learning_rate": 1e-3,
                "gradient_norm": 1.0 + 0.1 * (update % 3),
                "tokens_per_s": 900,
                "note": None,
            }
            for update in range(1, 120)
        ]
        if model == "sin3d":
            rows = [{**row, "gate": 0.001 * row["update"]} for row in rows]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        runs.append(TrainingRun(model=model, metrics_path=path))
    inputs = ReportInputs(
        title="A model that sees in metres",
        summary="Four frames of one box room.",
        command="make demo",
        steps=(
            StepTime(title="rooms", detail="2 scans, 8 frames", seconds=3.2, command="sightline rooms out/rooms --num-scans 2"),
            StepTime(title="train", detail="119 updates", seconds=70.0, command="sightline train demo"),
            StepTime(title="evaluate", detail="48 questions", seconds=None, command=""),
        ),
        store=store,
        scenes=(scene,),
        scene_pages={"box_room": "scenes/box_room.html"},
        samples=tuple(samples),
        skips=(SkipCount(task="depth_comparison", reason="too_close_to_tell", count=1200),),
        runs=tuple(runs),
        evaluations=tuple(evaluations),
        results=results,
        headline="sin3d",
        model_notes={"none": "the same model without geometry"},
        machine={"sightline": "0.1.0"},
        notes=("Two rooms are few.",),
    )
    return Made(scene=scene, inputs=inputs, store=store)
