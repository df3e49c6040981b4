"""Category names: one canonical word for each kind of thing, whatever a dataset calls it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sightline.captures.capture import SceneObject

VOCABULARY_VERSION = 2  # raised with every change of the table: facts and answers depend on it
GIVEN = "category_as_given"  # attribute that keeps the dataset's own word where it was another

_ALIASES: Mapping[str, Sequence[str]] = {
    "air conditioner": ("ac", "air conditioning", "split unit"),
    "armchair": ("arm chair", "easy chair", "lounge chair", "recliner", "sofa chair"),
    "backpack": ("rucksack", "school bag"),
    "bathtub": ("bath", "bath tub", "tub"),
    "bed": ("bunk bed", "double bed", "single bed"),
    "bench": ("seat bench",),
    "bin": ("trash can", "trashcan", "trash bin", "garbage bin", "garbage can", "waste bin", "wastebasket", "waste basket", "rubbish bin",
            "dustbin", "recycling bin", "recycle bin"),
    "bicycle": ("bike",),
    "blackboard": ("chalkboard",),
    "blanket": ("comforter", "duvet", "quilt"),
    "blinds": ("blind", "window blinds", "venetian blinds", "jalousie"),
    "book": ("books",),
    "bookshelf": ("bookcase", "book shelf", "book case", "book rack"),
    "bottle": ("water bottle",),
    "box": ("carton", "cardboard box", "boxes"),
    "chair": ("chairs", "office chair", "dining chair", "desk chair", "swivel chair", "folded chair", "folding chair"),
    "clock": ("wall clock", "alarm clock"),
    "coffee machine": ("coffee maker", "coffeemaker"),
    "column": ("pillar",),
    "counter": ("countertop", "counter top", "kitchen counter", "bathroom counter"),
    "cup": ("mug", "coffee cup", "coffee mug"),
    "curtain": ("curtains", "drapes"),
    "cushion": ("throw pillow",),
    "desk": ("office desk", "writing desk", "computer desk"),
    "dishwasher": ("dish washer",),
    "door": ("doors", "doorframe", "door frame"),
    "exercise equipment": ("excercise equipment",),
    "fireplace": ("fire place",),
    "grab bar": ("handicap bar",),
    "kettle": ("coffee kettle", "tea kettle", "electric kettle"),
    "keyboard": ("computer keyboard",),
    "lamp": ("desk lamp", "floor lamp", "table lamp", "standing lamp", "light fixture"),
    "laptop": ("notebook computer", "laptop computer"),
    "laundry basket": ("laundry hamper", "hamper"),
    "microwave": ("microwave oven",),
    "mirror": ("mirrors",),
    "monitor": ("computer monitor", "computer screen", "screen"),
    "nightstand": ("night stand", "bedside table", "bedside cabinet", "night table"),
    "other furniture": ("otherfurniture",),
    "other object": ("otherprop", "other prop"),
    "other structure": ("otherstructure",),
    "oven": ("wall oven",),
    "picture": ("painting", "poster", "photo", "photo frame", "picture frame", "wall art", "artwork"),
    "pillow": ("pillows",),
    "pitcher": ("water pitcher",),
    "plant": ("potted plant", "flower pot", "house plant", "houseplant", "flowerpot"),
    "power outlet": ("socket", "power socket", "wall socket"),
    "printer": ("copier", "photocopier"),
    "radiator": ("heater", "space heater", "heating"),
    "refrigerator": ("fridge", "freezer", "mini fridge", "refridgerator"),
    "rug": ("carpet", "mat", "doormat", "bath mat", "floor mat"),
    "shelf": ("shelves", "rack", "wall shelf"),
    "shoe": ("shoes",),
    "shower": ("shower stall", "shower cabin"),
    "sink": ("washbasin", "wash basin", "basin", "bathroom sink", "kitchen sink"),
    "sofa": ("couch", "settee", "loveseat", "love seat", "sofa bed", "sectional"),
    "stairs": ("stair", "staircase", "steps"),
    "stool": ("bar stool", "barstool", "footstool", "foot stool", "ottoman"),
    "storage": ("cabinet", "cabinets", "kitchen cabinet", "kitchen cabinets", "cupboard", "dresser", "chest of drawers", "drawer",
                "drawers", "file cabinet", "filing cabinet", "sideboard", "closet", "wardrobe", "storage cabinet", "tv stand",
                "tv cabinet", "bathroom cabinet"),
    "stove": ("cooker", "hob", "cooktop", "stovetop"),
    "suitcase": ("luggage",),
    "table": ("tables", "dining table", "kitchen table", "coffee table", "side table", "end table", "conference table", "round table"),
    "telephone": ("phone", "landline"),
    "television": ("tv", "tvs", "tv monitor", "tv screen", "tv set", "telly", "flat screen"),
    "toilet": ("wc", "toilet seat", "toilet bowl", "lavatory"),
    "towel": ("towels",),
    "vase": ("flower vase",),
    "vent": ("ventilation", "air vent"),
    "washer dryer": ("washing machine", "washing machines", "washer", "dryer", "washerdryer", "clothes dryer", "laundry machine"),
    "whiteboard": ("white board", "dry erase board"),
    "window": ("windows",),
}  # fmt: skip

_CANONICAL = {alias: name for name, aliases in _ALIASES.items() for alias in (name, *aliases)}


def canonical_category(category: str) -> str:
    """The canonical name; an unknown category is kept, lower-cased, with single spaces for `_` and `-`.

    A word of the table is its own canonical name, so applying it twice changes nothing.
    """
    plain = " ".join(category.replace("_", " ").replace("-", " ").split()).lower()
    return _CANONICAL.get(plain, plain)


def with_canonical_category(one: SceneObject) -> SceneObject:
    """The object under its canonical name; the dataset's own word stays in its attributes where it was another."""
    name = canonical_category(one.category)
    if name == one.category:
        return one
    return replace(one, category=name, attributes={**one.attributes, GIVEN: one.category})
