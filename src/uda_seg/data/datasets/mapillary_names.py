"""Mapillary Vistas' words for its classes, by release, and the ones Cityscapes has for them."""

NAMES_1_2 = """
    animal--bird animal--ground-animal construction--barrier--curb construction--barrier--fence
    construction--barrier--guard-rail construction--barrier--other-barrier
    construction--barrier--wall construction--flat--bike-lane
    construction--flat--crosswalk-plain construction--flat--curb-cut construction--flat--parking
    construction--flat--pedestrian-area construction--flat--rail-track construction--flat--road
    construction--flat--service-lane construction--flat--sidewalk
    construction--structure--bridge construction--structure--building
    construction--structure--tunnel human--person human--rider--bicyclist
    human--rider--motorcyclist human--rider--other-rider marking--crosswalk-zebra
    marking--general nature--mountain nature--sand nature--sky nature--snow nature--terrain
    nature--vegetation nature--water object--banner object--bench object--bike-rack
    object--billboard object--catch-basin object--cctv-camera object--fire-hydrant
    object--junction-box object--mailbox object--manhole object--phone-booth object--pothole
    object--street-light object--support--pole object--support--traffic-sign-frame
    object--support--utility-pole object--traffic-light object--traffic-sign--back
    object--traffic-sign--front object--trash-can object--vehicle--bicycle object--vehicle--boat
    object--vehicle--bus object--vehicle--car object--vehicle--caravan
    object--vehicle--motorcycle object--vehicle--on-rails object--vehicle--other-vehicle
    object--vehicle--trailer object--vehicle--truck object--vehicle--wheeled-slow
    void--car-mount void--ego-vehicle void--unlabeled
""".split()
"""By id: the 66 `name`s of release 1.2's `config.json`."""

NAMES_2_0 = """
    animal--bird animal--ground-animal construction--barrier--ambiguous
    construction--barrier--concrete-block construction--barrier--curb
    construction--barrier--fence construction--barrier--guard-rail
    construction--barrier--other-barrier construction--barrier--road-median
    construction--barrier--road-side construction--barrier--separator
    construction--barrier--temporary construction--barrier--wall construction--flat--bike-lane
    construction--flat--crosswalk-plain construction--flat--curb-cut
    construction--flat--driveway construction--flat--parking construction--flat--parking-aisle
    construction--flat--pedestrian-area construction--flat--rail-track construction--flat--road
    construction--flat--road-shoulder construction--flat--service-lane
    construction--flat--sidewalk construction--flat--traffic-island
    construction--structure--bridge construction--structure--building
    construction--structure--garage construction--structure--tunnel human--person--individual
    human--person--person-group human--rider--bicyclist human--rider--motorcyclist
    human--rider--other-rider marking--continuous--dashed marking--continuous--solid
    marking--continuous--zigzag marking--discrete--ambiguous marking--discrete--arrow--left
    marking--discrete--arrow--other marking--discrete--arrow--right
    marking--discrete--arrow--split-left-or-straight
    marking--discrete--arrow--split-right-or-straight marking--discrete--arrow--straight
    marking--discrete--crosswalk-zebra marking--discrete--give-way-row
    marking--discrete--give-way-single marking--discrete--hatched--chevron
    marking--discrete--hatched--diagonal marking--discrete--other-marking
    marking--discrete--stop-line marking--discrete--symbol--bicycle
    marking--discrete--symbol--other marking--discrete--text marking-only--continuous--dashed
    marking-only--discrete--crosswalk-zebra marking-only--discrete--other-marking
    marking-only--discrete--text nature--mountain nature--sand nature--sky nature--snow
    nature--terrain nature--vegetation nature--water object--banner object--bench
    object--bike-rack object--catch-basin object--cctv-camera object--fire-hydrant
    object--junction-box object--mailbox object--manhole object--parking-meter
    object--phone-booth object--pothole object--sign--advertisement object--sign--ambiguous
    object--sign--back object--sign--information object--sign--other object--sign--store
    object--street-light object--support--pole object--support--pole-group
    object--support--traffic-sign-frame object--support--utility-pole object--traffic-cone
    object--traffic-light--cyclists object--traffic-light--general-horizontal
    object--traffic-light--general-single object--traffic-light--general-upright
    object--traffic-light--other object--traffic-light--pedestrians
    object--traffic-sign--ambiguous object--traffic-sign--back
    object--traffic-sign--direction-back object--traffic-sign--direction-front
    object--traffic-sign--front object--traffic-sign--information-parking
    object--traffic-sign--temporary-back object--traffic-sign--temporary-front object--trash-can
    object--vehicle--bicycle object--vehicle--boat object--vehicle--bus object--vehicle--car
    object--vehicle--caravan object--vehicle--motorcycle object--vehicle--on-rails
    object--vehicle--other-vehicle object--vehicle--trailer object--vehicle--truck
    object--vehicle--vehicle-group object--vehicle--wheeled-slow object--water-valve
    void--car-mount void--dynamic void--ego-vehicle void--ground void--static void--unlabeled
""".split()
"""By id: the 124 `name`s of release 2.0's `config_v2.0.json`."""

WORDS = {
    "road": ("construction--flat--road", "marking--general", "object--manhole"),
    "sidewalk": ("construction--flat--sidewalk", "construction--barrier--curb"),
    "building": ("construction--structure--building",),
    "wall": ("construction--barrier--wall",),
    "fence": ("construction--barrier--fence",),
    "pole": ("object--support--pole", "object--support--utility-pole"),
    "traffic light": ("object--traffic-light",),
    "traffic sign": ("object--traffic-sign--front",),
    "vegetation": ("nature--vegetation",),
    "terrain": ("nature--terrain",),
    "sky": ("nature--sky",),
    "person": ("human--person",),
    "rider": (
        "human--rider--bicyclist", "human--rider--motorcyclist", "human--rider--other-rider",
    ),
    "car": ("object--vehicle--car",),
    "truck": ("object--vehicle--truck",),
    "bus": ("object--vehicle--bus",),
    "train": ("object--vehicle--on-rails",),
    "motorcycle": ("object--vehicle--motorcycle",),
    "bicycle": ("object--vehicle--bicycle",),
    # Beyond Cityscapes' 19, so that other datasets' classes find theirs.
    "animal": ("animal--bird", "animal--ground-animal"),
    "parking": ("construction--flat--parking",),
    "rail track": ("construction--flat--rail-track",),
    "guard rail": ("construction--barrier--guard-rail",),
    "bridge": ("construction--structure--bridge",),
    "tunnel": ("construction--structure--tunnel",),
    "billboard": ("object--billboard",),
    "caravan": ("object--vehicle--caravan",),
    "trailer": ("object--vehicle--trailer",),
}  # fmt: skip
"""Names of release 1.2. The 19 as the field has them: lhoyer/HRDA, in its
`tools/convert_datasets/mapillary.py`; what is left out there (crosswalks, bike and service lanes,
backs of signs) is void here."""

FINER = {
    "human--person": ("human--person--individual", "human--person--person-group"),
    "object--traffic-light": tuple(
        f"object--traffic-light--{kind}"
        for kind in (
            "cyclists", "general-horizontal", "general-single", "general-upright", "other",
            "pedestrians",
        )
    ),
    "object--traffic-sign--front": tuple(
        f"object--traffic-sign--{kind}"
        for kind in ("direction-front", "information-parking", "temporary-front")
    ),
    "object--billboard": ("object--sign--advertisement",),
    "marking--general": tuple(
        name for name in NAMES_2_0 if name.startswith("marking") and "crosswalk" not in name
    ),
}  # fmt: skip
"""Release 2.0's parts of a class of release 1.2, as far as their names tell: no published table of
the field covers them. Other new names (driveway, garage, road shoulder, pole group) are void."""

CITYSCAPES_WORDS = {
    name: word
    for word, names in WORDS.items()
    for coarse in names
    for name in (coarse, *FINER.get(coarse, ()))
}
"""Mapillary's `name` -> our name for the class; what is not in it is void."""
