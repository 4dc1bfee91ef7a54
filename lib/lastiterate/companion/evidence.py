"""What real runs say of a command's advice: chosen claims, as the file that ships with the command line."""

import json

COMMANDS = {  # ids of claims, in the order in which they are told; an id that no notebook has is passed over
    "transfer": ("fig12-gap", "advice-exponent-gpt", "fig12-gap-own", "advice-ratio", "guide-transfer-short-run"),
    "extend": (
        "fig10-lower-is-better",
        "conf-adapted-cooldown",
        "fig10-lower-is-better-own",
        "conf-adapted-cooldown-own",
        "advice-lower-pico",
        "advice-longer-pico",
        "advice-lower-convex",
        "advice-longer-convex",
    ),
    "optimal": ("fig21-tuned", "fig21-tuned-own", "guide-one-horizon", "guide-long-way-down"),
    "refine": ("defazio-refined-lm-own", "defazio-refined-suite", "defazio-convex-refined"),
}
KEPT = ("id", "says", "data", "verdict", "measured")


def file(records: list[dict]) -> str:
    """Text of `cli/evidence.json`: {command: its claims}, from all claims as ``figures/claims.json`` has them.

    >>> claim = {"id": "fig12-gap", "says": "0.7", "data": "own runs", "verdict": "agrees", "measured": [0.67], "how": "…"}
    >>> json.loads(file([claim]))["transfer"]
    [{'id': 'fig12-gap', 'says': '0.7', 'data': 'own runs', 'verdict': 'agrees', 'measured': [0.67]}]
    """
    known = {record["id"]: {key: record[key] for key in KEPT} for record in records if record["id"] in _ids()}
    chosen = {command: [known[id] for id in ids if id in known] for command, ids in COMMANDS.items()}
    return json.dumps(chosen, indent=1, ensure_ascii=False) + "\n"


def _ids():
    return {id for ids in COMMANDS.values() for id in ids}
