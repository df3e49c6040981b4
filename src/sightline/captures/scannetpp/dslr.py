"""The camera's pictures of a ScanNet++ scene, undistorted or fisheye, brought back from the nerfstudio world to the mesh's."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.captures.assemble import StoredConvention, StoredFrame
from sightline.captures.capture import SkippedFrame
from sightline.captures.colmap.files import read_model
from sightline.captures.colmap.model import lens_camera, model_suffix
from sightline.captures.distortion import LensCamera
from sightline.captures.image_lists import frame_ids, named_image, refuse_mostly_skipped
from sightline.captures.images import image_size
from sightline.captures.layouts import natural
from sightline.captures.lens_images import LensImages
from sightline.captures.poses import pose_problem
from sightline.captures.scannetpp.frames import ScanNetPPOptions, SensorFrames
from sightline.captures.transforms_json import read_transforms
from sightline.errors import CaptureError

# ScanNet++ made its nerfstudio poses from the mesh's world by exchanging x and y and turning z round; doing it again undoes it.
WORLD_FROM_NERFSTUDIO = np.array([[0.0, 1.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0], [0.0, 0.0, -1.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
UNDISTORTED, FISHEYE, COLMAP = "undistorted", "fisheye", "colmap"
PLACES = {  # poses and pictures below dslr/
    UNDISTORTED: ("nerfstudio/transforms_undistorted.json", "resized_undistorted_images"),
    FISHEYE: ("nerfstudio/transforms.json", "resized_images"),
    COLMAP: ("colmap", "resized_images"),
}


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Picture:
    name: str
    camera: LensCamera | None  # None where the picture that would tell its size is missing
    stored_pose: np.ndarray
    is_bad: bool
    is_test: bool
    where: str


def dslr_files(scene: Path, options: ScanNetPPOptions) -> list[Path]:
    """Every file that the camera's frames are read from."""
    poses, images = _places(scene, options)
    listed = sorted(poses.iterdir()) if poses.is_dir() else [poses]
    return [path for path in (*listed, *sorted(images.iterdir())) if path.is_file()]


def read_dslr(scene: Path, options: ScanNetPPOptions, *, workspace: Path) -> SensorFrames:
    """The chosen pictures, without depth. Raises CaptureError: none, most of them missing, fisheye ones unless asked to undistort."""
    poses, images = _places(scene, options)
    from_colmap = poses.is_dir()
    pictures = sorted(_of_colmap(poses) if from_colmap else _of_transforms(poses, images), key=lambda one: natural(one.name))
    ids = frame_ids([one.name for one in pictures])
    stored, skipped, missing = [], [], []
    chosen = options.chosen(len(pictures))
    with LensImages(workspace, pack_depth=False) as worker:
        for place in chosen:
            one, frame_id = pictures[place], ids[place]
            path = named_image(images, one.name, where=one.where)
            if one.is_bad:
                skipped.append(SkippedFrame(frame_id=frame_id, reason="marked_bad"))
            elif path is None or one.camera is None:  # the test pictures of some scenes are withheld
                (skipped if one.is_test else missing).append(SkippedFrame(frame_id=frame_id, reason="image_missing"))
            else:
                stored.append(_frame(one, frame_id, path, place, options, worker))
    refuse_mostly_skipped(missing, count=len(chosen), where=str(images))
    return SensorFrames(
        stored=stored,
        skipped=[*skipped, *missing],
        convention=StoredConvention(
            pose_direction="camera_from_world" if from_colmap else "world_from_camera",
            camera_axes="opencv" if from_colmap else "opengl",
            up_axis="+z",
            world_from_stored=np.eye(4) if from_colmap else WORLD_FROM_NERFSTUDIO,
        ),
        where=str(poses),
        notes={"sensor": "dslr", "pictures": images.name, "test_pictures": sum(one.is_test for one in pictures), **worker.notes()},
    )


def _places(scene: Path, options: ScanNetPPOptions) -> tuple[Path, Path]:
    """(transforms file or COLMAP folder, folder of pictures)."""
    folder = scene / "dslr"
    kinds = (UNDISTORTED, FISHEYE, COLMAP) if options.pictures == "auto" else (options.pictures,)
    for kind in kinds:
        poses, images = (folder / place for place in PLACES[kind])
        if images.is_dir() and (poses.is_file() or model_suffix(poses) is not None):
            return poses, images
    wanted = "; ".join(" with ".join(PLACES[kind]) for kind in kinds)
    raise CaptureError(f"{folder}: expected poses with their pictures ({wanted}), found no such pair")


def _of_transforms(path: Path, images: Path) -> list[_Picture]:
    def size(name: str) -> tuple[int, int] | None:
        picture = named_image(images, name, where=f"{path}: '{name[:40]}'")
        return None if picture is None else image_size(picture)

    transforms = read_transforms(path, size)
    return [
        _Picture(name=one.name, camera=one.camera, stored_pose=one.stored_pose, is_bad=one.is_bad, is_test=is_test, where=one.where)
        for frames, is_test in ((transforms.frames, False), (transforms.test_frames, True))
        for one in frames
    ]


def _of_colmap(folder: Path) -> list[_Picture]:
    model = read_model(folder)
    cameras = {camera_id: lens_camera(camera) for camera_id, camera in model.cameras.items()}
    return [
        _Picture(
            name=image.name,
            camera=cameras[image.camera_id],
            stored_pose=image.camera_from_world,
            is_bad=False,
            is_test=False,
            where=image.where,
        )
        for image in model.images
    ]


def _frame(one: _Picture, frame_id: str, path: Path, place: int, options: ScanNetPPOptions, worker: LensImages) -> StoredFrame:
    camera = one.camera
    assert camera is not None
    if camera.lens is not None and not options.undistort:
        raise CaptureError(
            f"{one.where}: expected a picture without distortion, found a {camera.lens.kind} one. "
            "Fix: undistort=true (or make resized_undistorted_images with the ScanNet++ toolkit)"
        )
    usable = pose_problem(one.stored_pose) is None  # the others are left out: nothing is resampled for them
    return StoredFrame(
        frame_id=frame_id,
        time_s=float(place),
        rgb_path=worker.colour(path, camera, frame_id) if usable else path,
        depth_path=None,
        depth_scale_m=1.0,
        intrinsics=camera.intrinsics,
        depth_intrinsics=None,
        stored_pose=one.stored_pose,
        pose_place=one.where,
    )
