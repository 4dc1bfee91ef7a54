"""What real runs say of a command's advice: chosen claims, as the file that ships with the command line."""

import json

COMMANDS = {  # claims by their ids, in the words of the command, in order; an id that no notebook has is passed over
    "transfer": {
        "fig12-gap": "linear decay's best rate is about twice that of wsd with cooldown 0.2 (logarithm of the ratio: 0.7)",
        "advice-exponent-gpt": "the best rate falls like T^-0.5 with the horizon (exponent)",
        "fig03-B-own": "the same of a 0.9M GPT (minus the exponent: cosine, wsd)",
        "fig03-B-pico": "of a 0.1M GPT after a long warmup (minus the exponent)",
        "advice-ratio": "linear decay's best rate is about twice that of wsd with cooldown 0.2 (ratio)",
        "advice-calibrated-ratio": "a bound with the measured exponent comes nearer to that (further off, in logarithms)",
        "guide-transfer-short-run": "a rate from a run a quarter as long ends lower with the bound's factor, 0.9M (loss gained)",
        "guide-transfer-short-run-pico": "the same, 0.1M",
    },
    "extend": {
        "fig10-lower-is-better": "the lower rate ends below the same rate (loss gained)",
        "conf-adapted-cooldown": "the longer cooldown does (loss gained)",
        "fig10-lower-is-better-own": "the lower rate does from 8000 to 16,000 and 32,000 steps of a 0.1M GPT (loss gained)",
        "conf-adapted-cooldown-own": "the longer cooldown does (loss gained)",
        "advice-lower-small": "the lower rate does from 2000 to 4000 steps of a 32M GPT (share of what the steps bring)",
        "advice-longer-small": "the longer cooldown does (the same)",
        "advice-lower-nano-longer": "the lower rate does from 1600 to 3200 steps of a 0.9M GPT (the same)",
        "advice-longer-nano-longer": "the longer cooldown does (the same)",
        "advice-lower-convex": "the lower rate does on four convex problems (share of the excess loss)",
        "advice-longer-convex": "the longer cooldown does (the same)",
    },
    "optimal": {
        "fig21-tuned": "the longer the cooldown the lower the loss, each at its best rate (linear decay minus others)",
        "fig21-tuned-own": "the same for a 0.1M GPT",
        "guide-one-horizon": "the same for linear decay and 0.2, each at the best rate of each seed (linear minus wsd)",
    },
    "refine": {
        "defazio-refined-no-warmup": "on small GPTs it ends at most a standard deviation above linear decay (in these)",
        "defazio-table-refined": "it ends below linear decay over ten small problems (ln of the ratio of losses)",
        "defazio-convex-refined": "on convex ones it ends at most a standard error above it (percent of excess loss)",
    },
}
KEPT = ("id", "says", "data", "verdict", "measured")


def file(records: list[dict]) -> str:
    """Text of `cli/evidence.json`: {command: its claims}, from all claims as ``figures/claims.json`` has them.

    >>> claim = {"id": "fig12-gap", "says": "0.7", "data": "own runs", "verdict": "agrees", "measured": [0.67], "how": "…"}
    >>> [(told["id"], told["verdict"], told["measured"]) for told in json.loads(file([claim]))["transfer"]]
    [('fig12-gap', 'agrees', [0.67])]
    """
    known = {record["id"]: {key: record[key] for key in KEPT} for record in records}
    chosen = {
        command: [known[id] | {"says": words} for id, words in told.items() if id in known] for command, told in COMMANDS.items()
    }
    return json.dumps(chosen, indent=1, ensure_ascii=False) + "\n"
