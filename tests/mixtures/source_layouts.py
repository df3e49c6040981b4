"""Writers of small files in every published layout that is read, each with two rows of which one asks about several pictures."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

A, B = "scannet/scene0000_00/00010.jpg", "scannet/scene0000_00/00020.jpg"
VIDEO = "scannet/videos/scene0000_00.mp4"


def write_lines(path: Path, rows: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_list(path: Path, rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1), encoding="utf-8")
    return path


def chat(question: str, answer: str) -> list[dict[str, str]]:
    return [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]


def said(question: Any, answer: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def llava(folder: Path) -> None:
    rows = [
        {"id": "one", "image": A, "conversations": chat("<image>\nWhat is this?", "a chair")},
        {
            "id": "two",
            "image": [A, B],
            "conversations": chat("<image>\n<image>\nWhich is nearer?", "the first") + chat("Why?", "it is larger"),
        },
    ]
    write_list(folder / "train.json", rows)


def sharegpt(folder: Path) -> None:
    rows = [
        {"id": "one", "conversations": chat("<image>What is this?", "a chair"), "images": [A], "system": "You are terse."},
        {"id": "two", "messages": said("Compare <image> with <image>.", "the first is nearer"), "images": [A, B]},
        {"id": "three", "messages": said("<video>What happens?", "a walk"), "videos": [[A, B]]},
    ]
    write_list(folder / "train.json", rows)


def alpaca(folder: Path) -> None:
    rows = [
        {"instruction": "<image><image> Which is nearer?", "input": "Name it.", "output": "the first", "images": [A, B]},
        {"instruction": "And now?", "input": "", "output": "gone", "history": [["<image>Seen?", "yes"]], "images": [A], "system": "Short."},
    ]
    write_list(folder / "train.json", rows)


def qwen_vl(folder: Path) -> None:
    rows = [
        {"id": "one", "image": [A, B], "conversations": chat("<image>\n<image>\nWhich is nearer?", "the first")},
        {"id": "two", "video": VIDEO, "conversations": said("<video>\nHow many chairs?", "4"), "question_type": "object_counting"},
        {"id": "three", "conversations": chat("What is two and two?", "4")},
    ]
    write_lines(folder / "rows.jsonl", rows)


def openai(folder: Path) -> None:
    parts = [
        {"type": "text", "text": "First "},
        {"type": "image_url", "image_url": {"url": A}},
        {"type": "text", "text": " then "},
        {"type": "image_url", "image_url": {"url": B}},
        {"type": "text", "text": ": which is nearer?"},
    ]
    rows = [
        {"messages": [{"role": "system", "content": "Be brief."}, *said(parts, "the first")]},
        {"messages": said([{"type": "image", "image": A}, {"type": "text", "text": "What is this?"}], "a chair")},
    ]
    write_lines(folder / "train.jsonl", rows)


def video_3d_llm(folder: Path) -> None:
    row = {
        "id": "scanqa_val-scene0011-0_0",
        "video": "scannet/scene0011_00",
        "conversations": chat("<image> What is by the door? Answer the question simply.", "a chair"),
        "metadata": {"dataset": "scanqa", "question_type": "Place", "answers": ["a chair", "chair"]},
    }
    write_list(folder / "scanqa_val_llava_style.json", [row, {**row, "id": "scanqa_val-scene0011-1_0"}])


def multispa(folder: Path) -> None:
    marked = "scene0000_00/199_point106344_00310_00125_img"
    rows = [
        {
            "id": 17,
            "image": ["scene0000_00/00310.jpg", "scene0000_00/00125.jpg"],
            "conversations": chat("Image-1: <image>\nImage-2: <image>\nTask.\nHow far?", "It moved `[ 412 , -38 , 905 ]` mm."),
            "height_list": [968, 968],
            "width_list": [1296, 1296],
            "question_type": "displacement_vector",
            "gt_value": [0.4121, -0.0384, 0.9057],
        },
        {"id": 17, "image": "scene0000_00/00310_p5_annotated.jpg", "conversations": chat("<image>\nDepth?", "`2381`"),
         "question_type": "depth_estimation_dot", "gt_value": 2381},
        {"id": "199_p106344", "image": [f"{marked}1.jpg", f"{marked}2.jpg"], "text": "Image-1: <image>\nImage-2: <image>\nWhich?",
         "question_type": "visual_correspondence_multiple_choice", "gt_value": "C"},
        {"id": 3, "image": ["scene0000_00/00310.jpg", "scene0000_00/00125.jpg"], "text": "Image-1: <image>\nImage-2: <image>\nMoved?",
         "question_type": "displacement_vector", "gt_value": [0.4121, -0.0384, 0.9057]},
    ]  # fmt: skip
    write_lines(folder / "training_data" / "camera_movement" / "train.jsonl", rows)


def mindcube(folder: Path) -> None:
    row = {
        "id": "among_group3_q1",
        "category": ["P1"],
        "type": "linear",
        "meta_info": ["table"],
        "question": "From the second view, what is behind you? A. Lamp B. Door",
        "images": ["other_all_image/among/x/front.jpg", "other_all_image/among/x/left.jpg"],
        "gt_answer": "B",
    }
    tuned = {"images": row["images"], "conversations": chat("<image>\n<image>\nWhat is behind you?", "<answer>B. Door</answer>")}
    write_lines(folder / "MindCube_train.jsonl", [row, tuned])


def scanqa(folder: Path) -> None:
    row = {
        "scene_id": "scene0000_00",
        "question_id": "train-scene0000-0",
        "question": "What colour is the table?",
        "answers": ["brown", "dark brown"],
        "object_ids": [9],
        "object_names": ["table"],
    }
    write_list(folder / "ScanQA_v1.0_train.json", [row, {**row, "question_id": "train-scene0000-1"}])


def sqa3d(folder: Path) -> None:
    questions, annotations = [], []
    for number, question in enumerate(("What is left of me?", "Can I see the door?")):
        asked = {"scene_id": "scene0000_00", "situation": "I stand at the sink.", "alternative_situation": ["I wash my hands."]}
        questions.append({**asked, "question": question, "question_id": 220602000000 + number})
        annotations.insert(  # another order than the questions'
            0,
            {
                "scene_id": "scene0000_00",
                "question_type": "N/A",
                "answer_type": "other",
                "question_id": 220602000000 + number,
                "answers": [{"answer": ("window", "yes")[number], "answer_confidence": "yes", "answer_id": 1}],
                "rotation": {"_x": 0, "_y": 0, "_z": 0.5, "_w": 0.5},
                "position": {"x": 1.0, "y": -2.0, "z": 0},
            },
        )
    write_list(folder / "v1_balanced_questions_train_scannetv2.json", {"info": {}, "questions": questions})
    write_list(folder / "v1_balanced_sqa_annotations_train_scannetv2.json", {"info": {}, "annotations": annotations})


def vsi_bench(folder: Path) -> None:
    row = {"dataset": "scannet", "scene_name": "scene0011_00", "question": "How many chairs?", "options": None, "ground_truth": "4"}
    choice = {"question": "Which is nearer?", "options": ["A. lamp", "B. door"], "ground_truth": "B", "dataset": "arkitscenes"}
    rows = [
        {"id": 0, **row, "question_type": "object_counting"},
        {"id": 1, **row, **choice, "scene_name": "41069021", "question_type": "object_rel_distance"},
    ]
    write_lines(folder / "test.jsonl", rows)


def vsi_590k(folder: Path) -> None:
    rows = [
        {"video": "scannet/scene0000_00.mp4", "conversation": chat("<image>\nHow many chairs?", "4"), "question_type": "object_counting"},
        {"id": "x", "image": "vsi-590k/a.jpg", "conversations": chat("<image>\nWhich side?", "left")},
    ]
    write_lines(folder / "vsi_590k.jsonl", rows)


def embodiedscan_sft(folder: Path) -> None:
    images = [f"posed_images/scene0000_00/{number * 10:05d}.jpg" for number in range(32)]
    metadata = {"dataset": "sqa3d", "question_type": "what", "scene_name": "scene0000_00", "original_video": "x", "num_frames": 32}
    row = {"messages": said(f"{' '.join(['<image>'] * 32)} What is left?", "a lamp"), "images": images, "metadata": metadata}
    write_list(folder / "train.json", [row, row])


def mix(name: str) -> Callable[[Path], None]:
    return lambda folder: qwen_vl(folder) or (folder / "rows.jsonl").rename(folder / f"{name}.jsonl") and None


MIXES = ("spatial_mllm_mix_133k", "spatial_mllm_mix_203k", "route_plan_scannet_2k", "route_plan_4k")
PLAIN = (llava, sharegpt, alpaca, qwen_vl, openai, video_3d_llm, multispa, scanqa, sqa3d, vsi_bench, vsi_590k, embodiedscan_sft)
WRITERS: dict[str, Callable[[Path], None]] = {one.__name__: one for one in PLAIN} | {name: mix(name) for name in MIXES}
WRITERS["mindcube_21k"] = mindcube  # the generated sets of `sightline` have their own writer, and their own test
