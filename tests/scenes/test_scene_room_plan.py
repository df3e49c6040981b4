"""A phone scan takes its walls and boxes from the RoomPlan file of the same session."""

import json

import layout_roomplan
import numpy as np
import pytest
import true_room as true
from layout_folder import _write

from sightline.captures.poses import UP_ROTATIONS
from sightline.errors import CaptureError, ConfigError
from sightline.geometry.transforms import rigid
from sightline.scenes.build import check_scan, import_scan
from sightline.scenes.store import SceneStore


@pytest.fixture
def phone_scan(tmp_path):
    """The true room in an ARKit world, +y up, without objects; and the RoomPlan file of that world."""
    stored_from_world = np.linalg.inv(rigid(UP_ROTATIONS["+y"], np.zeros(3)))
    folder = tmp_path / "phone"
    _write(folder, stored_poses=stored_from_world @ true.poses(), unit_m=0.001)
    (folder / "objects.json").unlink()
    plan = layout_roomplan.VARIANTS["ios17"](tmp_path / "plan")
    source = plan.source if plan.source.is_file() else next(plan.source.glob("*.json"))
    return folder, source


def where(folder, **options):
    return {"source": str(folder), "reader": "folder", "options": options, "verify": True}


def test_walls_and_boxes_come_into_the_scans_world(phone_scan, tmp_path):
    folder, plan = phone_scan
    options = where(folder, up_axis="+y", room_plan=str(plan))
    result = import_scan("phone", **options, store=str(tmp_path / "store"), copy_images=False)
    scene = SceneStore(tmp_path / "store").read("phone")
    assert result["agreement"] > 0.98 and result["objects"] == len(layout_roomplan.IDS) and result["walls"]
    truth = {one.object_id: one.box.centre_world for one in true.objects() if one.object_id in layout_roomplan.IDS}
    for one in scene.objects:
        assert min(np.linalg.norm(one.box.centre_world - centre) for centre in truth.values()) < 1e-3
    assert len(set(np.unique(scene.point_object_ids))) > 3


def test_the_scan_is_imported_again_when_the_plan_changed(phone_scan, tmp_path):
    folder, plan = phone_scan
    options = {**where(folder, up_axis="+y", room_plan=str(plan)), "store": str(tmp_path / "store"), "copy_images": False}
    assert [import_scan("phone", **options)["status"] for _ in range(2)] == ["imported", "unchanged"]
    content = json.loads(plan.read_text())
    content["objects"] = content["objects"][1:]
    plan.write_text(json.dumps(content))
    again = import_scan("phone", **options)
    assert again["status"] == "imported" and again["objects"] == len(layout_roomplan.IDS) - 1


def test_a_plan_is_refused_for_a_scan_with_objects_of_its_own_or_another_up(phone_scan, tmp_path):
    folder, plan = phone_scan
    with pytest.raises(CaptureError, match="up leans|\\+y up"):
        check_scan("phone", **where(folder, up_axis="-y", room_plan=str(plan)))
    (folder / "objects.json").write_text("[]")
    with pytest.raises(CaptureError, match="without objects and walls of its own"):
        check_scan("phone", **where(folder, up_axis="+y", room_plan=str(plan)))
    with pytest.raises(ConfigError, match="room_plan: expected the path"):
        check_scan("phone", **where(folder, room_plan=7))
