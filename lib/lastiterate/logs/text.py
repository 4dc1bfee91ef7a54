"""What trainers print: a reader each, from lines to rows."""

import json
import re
from collections.abc import Callable, Iterable

Rows = list[dict[str, float]]
NUMBER = r"([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|inf)"


def json_lines(lines: Iterable[str]) -> Rows:
    """A JSON object a line, with one level of objects inside it joined by "/"; what is not a number is left out."""
    rows = []
    for i, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            raise ValueError(f"line {i} is not JSON: {line.strip()[:60]!r}") from None
        if not isinstance(found, dict):
            raise ValueError(f"line {i} is not a JSON object: {line.strip()[:60]!r}")
        flat = {}
        for key, value in found.items():
            flat |= {f"{key}/{k}": v for k, v in value.items()} if isinstance(value, dict) else {key: value}
        rows.append({k: v for k, v in flat.items() if _is_number(v) or k.strip().lower() == "run"})
    return rows


def trainer_state(found: dict) -> Rows:
    """`log_history` of the Hugging Face Trainer's trainer_state.json."""
    return [{k: v for k, v in row.items() if _is_number(v)} for row in found["log_history"]]


def llm_c(lines: Iterable[str]) -> Rows:
    """llm.c's main.log: "s:100 tel:3.91", "s:100 trl:3.95 lr:0.0006 norm:0.34". Its step counts from 0 where it trains."""
    rows = []
    for line in lines:
        found = dict(re.findall(rf"(\w+):{NUMBER}", line))
        if "s" in found and len(found) > 1:
            step, trains = int(float(found.pop("s"))), "trl" in found
            rows.append({"step": step + trains} | {key: float(value) for key, value in found.items()})
    return rows


def modded_nanogpt(lines: Iterable[str]) -> Rows:
    """modded-nanogpt: "step:125/5960 val_loss:4.6 train_time:…", "step:126/5960 train_loss:4.5 …"."""
    rows = []
    for line in lines:
        if found := re.match(r"step:(\d+)/\d+ ", line):
            values = {k: float(v) for k, v in re.findall(rf"(\w+):{NUMBER}(?!\w)", line[found.end() :])}
            rows.append({"step": int(found[1])} | values)
    return rows


def nanogpt(lines: Iterable[str]) -> Rows:
    """nanoGPT: "iter 100: loss 3.2, time 90ms, mfu 20%", "step 250: train loss 3.1, val loss 3.2" (a mean over batches)."""
    rows = []
    for line in lines:
        if found := re.match(rf"iter (\d+): loss {NUMBER}", line):
            rows.append({"step": int(found[1]), "loss": float(found[2])})
        elif found := re.match(rf"step (\d+): train loss {NUMBER}, val loss {NUMBER}", line):
            rows.append({"step": int(found[1]), "val loss": float(found[3])})
    return rows


def megatron(lines: Iterable[str]) -> Rows:
    """Megatron-LM: "iteration 100/ 500 | … learning rate: 1.5E-04 | … lm loss: 7.1E+00 | … grad norm: 1.2 | …"."""
    rows = []
    for line in lines:
        if found := re.search(r"iteration\s+(\d+)/\s*\d+ \|", line):
            values = re.findall(rf"\| ([\w .()-]+?):\s+{NUMBER}(?=\s)", line)
            rows.append({"step": int(found[1])} | {key.strip(): float(value) for key, value in values})
        elif found := re.search(rf"validation loss at iteration (\d+).*?\| lm loss value: {NUMBER}", line):
            rows.append({"step": int(found[1]), "validation loss": float(found[2])})
    return rows


def torchtitan(lines: Iterable[str]) -> Rows:
    """torchtitan: "… step: 10  loss: 7.12  grad_norm: 1.4  memory: …", colours and ranks around it left out."""
    rows = []
    for line in lines:
        plain = re.sub(r"\x1b\[[0-9;]*m", "", line)
        if found := re.search(r"\bstep:\s*(\d+)\s+(?=(?:validate_)?(?:\w+_)?loss:)", plain):
            values = re.findall(rf"(\w+):\s*{NUMBER}(?![\w(])", plain[found.end() :].replace(",", ""))
            row = {("val_loss" if "validat" in plain and k == "loss" else k): float(v) for k, v in values}
            rows.append({"step": int(found[1])} | row)
    return rows


FIRST = {  # what one of the first lines of each looks like
    r"\s*\{": json_lines,
    r"s:\d+ \w+:": llm_c,
    r"step:\d+/\d+ ": modded_nanogpt,
    r"(iter \d+: loss|step \d+: train loss)": nanogpt,
    r".*iteration\s+\d+/\s*\d+ \|": megatron,
    r".*\bstep:\s*\d+\s.*\bloss:": torchtitan,
}

TITLES: dict[Callable[[Iterable[str]], Rows], str] = {  # of the readers, for people
    json_lines: "JSON lines",
    llm_c: "text of llm.c",
    modded_nanogpt: "text of modded-nanogpt",
    nanogpt: "text of nanoGPT",
    megatron: "text of Megatron-LM",
    torchtitan: "text of torchtitan",
}


def recognise(head: list[str]) -> Callable[[Iterable[str]], Rows] | None:
    """The reader for a file that begins with these lines; None where none knows it."""
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line[:2000]) for line in head]
    for pattern, reader in FIRST.items():
        lines = plain[:1] if reader is json_lines else plain
        if any(re.match(pattern, line) for line in lines):
            return reader
    return None


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)
