"""VGGT's nine numbers of a camera: translation, quaternion and fields of view, from and to a pose and intrinsics.

The original stores camera-from-world, x right, y down, z forward, the world being the first frame's camera up to scale.
Its principal point is half the width and half the height, with pixel centres at integers; that is kept.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from sightline.errors import ModelError


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Cameras:
    """Any number of cameras, in the unit of length of the encoding."""

    world_from_camera: Tensor  # (..., 4, 4)
    intrinsics: Tensor  # (..., 6) fx fy cx cy width height, pixels


def cameras_from_encoding(encoding: Tensor, *, height_px: int, width_px: int) -> Cameras:
    """Encodings `(..., 9)` of frames of that size: translation, quaternion xyzw, vertical and horizontal field of view in radians.

    The quaternion need not have unit length. Raises ModelError for another last dimension.
    """
    if encoding.shape[-1] != 9:
        raise ModelError(f"vggt: expected pose encodings (..., 9), found {tuple(encoding.shape)}")
    camera_from_world = rotation_from_quat_xyzw(encoding[..., 3:7])
    world_from_camera = torch.zeros(*encoding.shape[:-1], 4, 4, dtype=encoding.dtype, device=encoding.device)
    world_from_camera[..., :3, :3] = camera_from_world.mT
    world_from_camera[..., :3, 3] = -(camera_from_world.mT @ encoding[..., :3, None])[..., 0]
    world_from_camera[..., 3, 3] = 1.0
    half_px = encoding.new_tensor([width_px / 2.0, height_px / 2.0]).expand(*encoding.shape[:-1], 2)
    focal_px = half_px / (encoding[..., [8, 7]] / 2.0).tan()
    return Cameras(world_from_camera=world_from_camera, intrinsics=torch.cat([focal_px, half_px, 2.0 * half_px], dim=-1))


def encoding_from_cameras(cameras: Cameras) -> Tensor:
    """The inverse, `(..., 9)`, of cameras whose principal point is the centre of the frame; w of the quaternion is never negative.

    Raises ModelError for another principal point, which nine numbers cannot hold.
    """
    focal_px, centre_px, size_px = cameras.intrinsics.split(2, dim=-1)
    if not torch.allclose(centre_px, size_px / 2.0, atol=1.0):  # a pixel: conventions differ by half of one
        raise ModelError("vggt: expected principal points at the centre of the frame, found others: crop the frames around them")
    camera_from_world = cameras.world_from_camera[..., :3, :3].mT
    translation = -(camera_from_world @ cameras.world_from_camera[..., :3, 3:])[..., 0]
    fields_rad = 2.0 * torch.atan2(size_px / 2.0, focal_px)
    return torch.cat([translation, quat_xyzw_from_rotation(camera_from_world), fields_rad.flip(-1)], dim=-1)


def rotation_from_quat_xyzw(quat_xyzw: Tensor) -> Tensor:
    """Rotations `(..., 3, 3)` of quaternions `(..., 4)` of any length but zero."""
    x, y, z, w = (quat_xyzw * math.sqrt(2.0) / quat_xyzw.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = [
        [1.0 - (y * y + z * z), x * y - z * w, x * z + y * w],
        [x * y + z * w, 1.0 - (x * x + z * z), y * z - x * w],
        [x * z - y * w, y * z + x * w, 1.0 - (x * x + y * y)],
    ]
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def quat_xyzw_from_rotation(rotation: Tensor) -> Tensor:
    """Unit quaternions `(..., 4)` with w >= 0 of rotations `(..., 3, 3)`."""
    # Rows of 4 q q^T, each a multiple of q; the longest is the best conditioned.
    r = rotation
    trace = r[..., 0, 0] + r[..., 1, 1] + r[..., 2, 2]
    squares = [1.0 + 2.0 * r[..., i, i] - trace for i in range(3)] + [1.0 + trace]
    xy, xz, yz = (r[..., i, j] + r[..., j, i] for i, j in ((0, 1), (0, 2), (1, 2)))
    xw, yw, zw = (r[..., i, j] - r[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0)))
    x2, y2, z2, w2 = squares
    outer = torch.stack([torch.stack(row, dim=-1) for row in ((x2, xy, xz, xw), (xy, y2, yz, yw), (xz, yz, z2, zw), (xw, yw, zw, w2))], -2)
    best = torch.stack(squares, dim=-1).argmax(dim=-1)
    quat = outer.gather(-2, best[..., None, None].expand(*best.shape, 1, 4))[..., 0, :]
    quat = quat / quat.norm(dim=-1, keepdim=True)
    return torch.where(quat[..., 3:] < 0.0, -quat, quat)
