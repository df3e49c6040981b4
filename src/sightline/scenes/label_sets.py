"""The label sets of the data sets that Sightline reads, each label beside its canonical word."""

from collections.abc import Mapping
from dataclasses import dataclass

from sightline.catalog import nearest
from sightline.errors import UnknownNameError
from sightline.scenes.vocabulary import VOCABULARY_VERSION, canonical_category

# Names and numbers are those of the data sets, typing mistakes included; they were compared with what their owners publish.
NYU40 = """
1 wall, 2 floor, 3 cabinet, 4 bed, 5 chair, 6 sofa, 7 table, 8 door, 9 window, 10 bookshelf, 11 picture, 12 counter, 13 blinds, 14 desk,
15 shelves, 16 curtain, 17 dresser, 18 pillow, 19 mirror, 20 floor mat, 21 clothes, 22 ceiling, 23 books, 24 refridgerator, 25
television, 26 paper, 27 towel, 28 shower curtain, 29 box, 30 whiteboard, 31 person, 32 night stand, 33 toilet, 34 sink, 35 lamp, 36
bathtub, 37 bag, 38 otherstructure, 39 otherfurniture, 40 otherprop
"""
SCANNET20_IDS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 16, 24, 28, 33, 34, 36, 39)  # of NYU40
SCANNET20_SPELLED = {24: "refrigerator"}  # otherwise as NYU40 spells them
SCANNET200 = """
1 wall, 2 chair, 3 floor, 4 table, 5 door, 6 couch, 7 cabinet, 8 shelf, 9 desk, 10 office chair, 11 bed, 13 pillow, 14 sink, 15 picture,
16 window, 17 toilet, 18 bookshelf, 19 monitor, 21 curtain, 22 book, 23 armchair, 24 coffee table, 26 box, 27 refrigerator, 28 lamp, 29
kitchen cabinet, 31 towel, 32 clothes, 33 tv, 34 nightstand, 35 counter, 36 dresser, 38 stool, 39 cushion, 40 plant, 41 ceiling, 42
bathtub, 44 end table, 45 dining table, 46 keyboard, 47 bag, 48 backpack, 49 toilet paper, 50 printer, 51 tv stand, 52 whiteboard, 54
blanket, 55 shower curtain, 56 trash can, 57 closet, 58 stairs, 59 microwave, 62 stove, 63 shoe, 64 computer tower, 65 bottle, 66 bin,
67 ottoman, 68 bench, 69 board, 70 washing machine, 71 mirror, 72 copier, 73 basket, 74 sofa chair, 75 file cabinet, 76 fan, 77 laptop,
78 shower, 79 paper, 80 person, 82 paper towel dispenser, 84 oven, 86 blinds, 87 rack, 88 plate, 89 blackboard, 90 piano, 93 suitcase,
95 rail, 96 radiator, 97 recycling bin, 98 container, 99 wardrobe, 100 soap dispenser, 101 telephone, 102 bucket, 103 clock, 104 stand,
105 light, 106 laundry basket, 107 pipe, 110 clothes dryer, 112 guitar, 115 toilet paper holder, 116 seat, 118 speaker, 120 column, 121
bicycle, 122 ladder, 125 bathroom stall, 128 shower wall, 130 cup, 131 jacket, 132 storage bin, 134 coffee maker, 136 dishwasher, 138
paper towel roll, 139 machine, 140 mat, 141 windowsill, 145 bar, 148 toaster, 154 bulletin board, 155 ironing board, 156 fireplace, 157
soap dish, 159 kitchen counter, 161 doorframe, 163 toilet paper dispenser, 165 mini fridge, 166 fire extinguisher, 168 ball, 169 hat,
170 shower curtain rod, 177 water cooler, 180 paper cutter, 185 tray, 188 shower door, 191 pillar, 193 ledge, 195 toaster oven, 202
mouse, 208 toilet seat cover dispenser, 213 furniture, 214 cart, 221 storage container, 229 scale, 230 tissue box, 232 light switch, 233
crate, 242 power outlet, 250 decoration, 261 sign, 264 projector, 276 closet door, 283 vacuum cleaner, 286 candle, 300 plunger, 304
stuffed animal, 312 headphones, 323 dish rack, 325 broom, 331 guitar case, 342 range hood, 356 dustpan, 370 hair dryer, 392 water
bottle, 395 handicap bar, 399 purse, 408 vent, 417 shower floor, 488 water pitcher, 540 mailbox, 562 bowl, 570 paper bag, 572 alarm
clock, 581 music stand, 609 projector screen, 748 divider, 776 laundry detergent, 1156 bathroom counter, 1163 object, 1164 bathroom
vanity, 1165 closet wall, 1166 laundry hamper, 1167 bathroom stall door, 1168 ceiling light, 1169 trash bin, 1170 dumbbell, 1171 stair
rail, 1172 tube, 1173 bathroom cabinet, 1174 cd case, 1175 closet rod, 1176 coffee kettle, 1178 structure, 1179 shower head, 1180
keyboard piano, 1181 case of water bottles, 1182 coat rack, 1183 storage organizer, 1184 folded chair, 1185 fire alarm, 1186 power
strip, 1187 calendar, 1188 poster, 1189 potted plant, 1190 luggage, 1191 mattress
"""
ARKITSCENES = """
cabinet, refrigerator, shelf, stove, bed, sink, washer, toilet, bathtub, oven, dishwasher, fireplace, stool, chair, table, tv_monitor, sofa
"""
ROOMPLAN = """
storage, refrigerator, stove, bed, sink, washerDryer, toilet, bathtub, oven, dishwasher, table, sofa, chair, fireplace, television, stairs
"""
EMBODIEDSCAN = """
1 adhesive tape, 2 air conditioner, 3 alarm, 4 album, 5 arch, 6 backpack, 7 bag, 8 balcony, 9 ball, 10 banister, 11 bar, 12 barricade,
13 baseboard, 14 basin, 15 basket, 16 bathtub, 17 beam, 18 beanbag, 19 bed, 20 bench, 21 bicycle, 22 bidet, 23 bin, 24 blackboard, 25
blanket, 26 blinds, 27 board, 28 body loofah, 29 book, 30 boots, 31 bottle, 32 bowl, 33 box, 34 bread, 35 broom, 36 brush, 37 bucket, 38
cabinet, 39 calendar, 40 camera, 41 can, 42 candle, 43 candlestick, 44 cap, 45 car, 46 carpet, 47 cart, 48 case, 49 ceiling, 50 chair,
51 chandelier, 52 cleanser, 53 clock, 54 clothes, 55 clothes dryer, 56 coat hanger, 57 coffee maker, 58 coil, 59 column, 60 commode, 61
computer, 62 conducting wire, 63 container, 64 control, 65 copier, 66 cosmetics, 67 couch, 68 counter, 69 countertop, 70 crate, 71 crib,
72 cube, 73 cup, 74 curtain, 75 cushion, 76 decoration, 77 desk, 78 detergent, 79 device, 80 dish rack, 81 dishwasher, 82 dispenser, 83
divider, 84 door, 85 door knob, 86 doorframe, 87 doorway, 88 drawer, 89 dress, 90 dresser, 91 drum, 92 duct, 93 dumbbell, 94 dustpan, 95
dvd, 96 eraser, 97 excercise equipment, 98 fan, 99 faucet, 100 fence, 101 file, 102 fire extinguisher, 103 fireplace, 104 floor, 105
flowerpot, 106 flush, 107 folder, 108 food, 109 footstool, 110 frame, 111 fruit, 112 furniture, 113 garage door, 114 garbage, 115 glass,
116 globe, 117 glove, 118 grab bar, 119 grass, 120 guitar, 121 hair dryer, 122 hamper, 123 handle, 124 hanger, 125 hat, 126 headboard,
127 headphones, 128 heater, 129 helmets, 130 holder, 131 hook, 132 humidifier, 133 ironware, 134 jacket, 135 jalousie, 136 jar, 137
kettle, 138 keyboard, 139 kitchen island, 140 kitchenware, 141 knife, 142 label, 143 ladder, 144 lamp, 145 laptop, 146 ledge, 147
letter, 148 light, 149 luggage, 150 machine, 151 magazine, 152 mailbox, 153 map, 154 mask, 155 mat, 156 mattress, 157 menu, 158
microwave, 159 mirror, 160 molding, 161 monitor, 162 mop, 163 mouse, 164 napkins, 165 notebook, 166 object, 167 ottoman, 168 oven, 169
pack, 170 package, 171 pad, 172 pan, 173 panel, 174 paper, 175 paper cutter, 176 partition, 177 pedestal, 178 pen, 179 person, 180
piano, 181 picture, 182 pillar, 183 pillow, 184 pipe, 185 pitcher, 186 plant, 187 plate, 188 player, 189 plug, 190 plunger, 191 pool,
192 pool table, 193 poster, 194 pot, 195 price tag, 196 printer, 197 projector, 198 purse, 199 rack, 200 radiator, 201 radio, 202 rail,
203 range hood, 204 refrigerator, 205 remote control, 206 ridge, 207 rod, 208 roll, 209 roof, 210 rope, 211 sack, 212 salt, 213 scale,
214 scissors, 215 screen, 216 seasoning, 217 shampoo, 218 sheet, 219 shelf, 220 shirt, 221 shoe, 222 shovel, 223 shower, 224 sign, 225
sink, 226 soap, 227 soap dish, 228 soap dispenser, 229 socket, 230 speaker, 231 sponge, 232 spoon, 233 stairs, 234 stall, 235 stand, 236
stapler, 237 statue, 238 steps, 239 stick, 240 stool, 241 stopcock, 242 stove, 243 structure, 244 sunglasses, 245 support, 246 switch,
247 table, 248 tablet, 249 teapot, 250 telephone, 251 thermostat, 252 tissue, 253 tissue box, 254 toaster, 255 toilet, 256 toilet paper,
257 toiletry, 258 tool, 259 toothbrush, 260 toothpaste, 261 towel, 262 toy, 263 tray, 264 treadmill, 265 trophy, 266 tube, 267 tv, 268
umbrella, 269 urn, 270 utensil, 271 vacuum cleaner, 272 vanity, 273 vase, 274 vent, 275 ventilation, 276 wall, 277 wardrobe, 278
washbasin, 279 washing machine, 280 water cooler, 281 water heater, 282 window, 283 window frame, 284 windowsill, 285 wine, 286 wire,
287 wood, 288 wrap
"""
COARSER = {  # sets without a word of their own for a kind, and what they put it under
    "roomplan": {"shelf": "storage", "bookshelf": "storage", "stool": "chair", "desk": "table"},
}
PREFERRED = {"embodiedscan": {"washer dryer": "washing machine"}}  # where the first of several labels is the odd one
TITLES = {
    "nyu40": "NYU40: the 40 classes of NYU Depth v2, which ScanNet's label table gives as `nyu40class`",
    "scannet20": "ScanNet20: the benchmark classes of ScanNet v2, numbered as in NYU40",
    "scannet200": "ScanNet200: the benchmark classes of ScanNet200, numbered by ScanNet's own label table",
    "arkitscenes": "ARKitScenes: the 17 classes of its 3-D boxes, without numbers",
    "roomplan": "RoomPlan: the 16 kinds of objects of Apple RoomPlan, without numbers",
    "embodiedscan": "EmbodiedScan: the 288 classes of its annotations",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Label:
    """One label of a data set and the word that stands for it here."""

    name: str
    label_id: int | None  # None: the set has names alone
    canonical: str


def labels_of(label_set: str) -> tuple[Label, ...]:
    """Every label of a set (`nyu40 scannet20 scannet200 arkitscenes roomplan embodiedscan`), in its order. Raises UnknownNameError."""
    if label_set not in LABEL_SETS:
        known = list(LABEL_SETS)
        raise UnknownNameError(f"no label set called '{label_set}'.{nearest(label_set, known)} Known: {', '.join(known)}")
    return LABEL_SETS[label_set]


def category_in(label_set: str, category: str) -> str | None:
    """What a set calls a kind of thing, `storage` in NYU40 being `cabinet`; None where it has no word for it.

    Of several labels for one kind it is the one spelled like the canonical word, else the first (or `PREFERRED`). Kinds that a set
    puts under a coarser one (`COARSER`: RoomPlan has no stool and says chair) get that one's label. Raises UnknownNameError.
    """
    labels, wanted = labels_of(label_set), canonical_category(category)
    coarser = COARSER.get(label_set, {})
    for word in (wanted, coarser.get(wanted)):
        names = [one.name for one in labels if one.canonical == word]
        if names:
            return next((name for name in names if name == word), PREFERRED.get(label_set, {}).get(str(word), names[0]))
    return None


def vocabulary_page() -> str:
    """The page `docs/vocabulary.md`: every label of every set beside its canonical word."""
    lines = [
        "# Vocabulary",
        "",
        "Data sets call the same thing by different names. Sightline keeps one canonical word for each kind of thing and writes it into",
        "the scene; the word that the data set used stays with the object as the attribute `category_as_given`. A label that is in no",
        "table keeps its own name in lower case, with spaces for `_` and `-`: ScanNet's raw categories are open-ended, and nothing is",
        "dropped.",
        "",
        f"This is version {VOCABULARY_VERSION} of the table; scenes remember the version they were made with. `category_in` of",
        "`sightline.scenes.label_sets` goes the other way, from a canonical word to what a data set calls it. Of several labels of one",
        "kind it takes the one spelled like the canonical word, else the first one of the set.",
        "",
        "This page is written by `vocabulary_page()` in that module; a test compares the two.",
    ]
    for name, labels in LABEL_SETS.items():
        numbered = labels[0].label_id is not None
        lines += ["", f"## {TITLES[name]}", "", f"`{name}`, {len(labels)} labels.", ""]
        lines += ["| id | label | canonical word |", "|---|---|---|"] if numbered else ["| label | canonical word |", "|---|---|"]
        for one in labels:
            lines.append(f"| {one.label_id} | {one.name} | {one.canonical} |" if numbered else f"| {one.name} | {one.canonical} |")
        if name in COARSER:
            merged = ", ".join(f"{ours} is its {theirs}" for ours, theirs in COARSER[name].items())
            lines += ["", f"It has no word of its own for some kinds: {merged}."]
    return "\n".join(lines) + "\n"


def _set(text: str) -> tuple[Label, ...]:
    labels = []
    for entry in text.replace("\n", " ").split(","):
        number, _, name = entry.strip().partition(" ")
        label_id, name = (int(number), name) if number.isdigit() else (None, entry.strip())
        labels.append(Label(name=name, label_id=label_id, canonical=canonical_category(name)))
    return tuple(labels)


def _scannet20() -> tuple[Label, ...]:
    names = {one.label_id: one.name for one in _set(NYU40)}
    spelled = [(number, SCANNET20_SPELLED.get(number, names[number])) for number in SCANNET20_IDS]
    return tuple(Label(name=name, label_id=number, canonical=canonical_category(name)) for number, name in spelled)


LABEL_SETS: Mapping[str, tuple[Label, ...]] = {
    "nyu40": _set(NYU40),
    "scannet20": _scannet20(),
    "scannet200": _set(SCANNET200),
    "arkitscenes": _set(ARKITSCENES),
    "roomplan": _set(ROOMPLAN),
    "embodiedscan": _set(EMBODIEDSCAN),
}
