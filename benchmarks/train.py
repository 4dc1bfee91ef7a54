"""Speed of the trainer, as ratios to plain loops in the same run (`make bench`)."""

import argparse
import dataclasses
import time

import torch
import torch.nn.functional as F

from lastiterate import data, model, schedules, train

PEAK = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}  # dense bfloat16 operations a second


def plain_loop(config, steps, warm=2):
    """Seconds of a step of a loop as one would write it first: float32, eager, fused attention, torch's default AdamW."""

    def attend(q, k, v, causal):
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    written_out, model.attend = model.attend, attend
    network = model.GPT(config.shape).to(config.device)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    tokens = torch.from_numpy(data.corpus(config.corpus).train[0].copy())
    for step in range(warm + steps):
        if step == warm:
            begun = time.perf_counter()
        places = torch.randint(len(tokens) - config.context - 1, (config.batch,))
        batch = torch.stack([tokens[i : i + config.context + 1].long() for i in places]).to(config.device)
        loss = network(batch[:, :-1], batch[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
    model.attend = written_out
    return (time.perf_counter() - begun) / steps


def compare(name, steps, baselines=("plain",), **options):
    """Print the trainer's tokens/s and its ratios to baselines."""
    config, rates = train.configure(schedules.constant(5000), corpus="python", eval_sequences=options["batch"], **options)
    ours = train.seconds_per_step(config, rates, steps)
    tokens = config.batch * config.context
    said = f"{name}: {tokens / ours:,.0f} tokens/s ({config.dtype}{', compiled' if config.compile else ''})"
    if "float32" in baselines:
        same = train.seconds_per_step(dataclasses.replace(config, dtype="float32", compile=False), rates, steps)
        said += f", {same / ours:.1f} times the same model in float32 eager"
    if "plain" in baselines:
        said += f", {plain_loop(config, steps) / ours:.1f} times a plain float32 loop"
    print(said, flush=True)


def on_gpu():
    """Model-FLOP utilisation of the 124m preset over 100 steps, and its peak memory."""
    config, rates = train.configure(schedules.constant(5000), preset="124m", corpus="python", device="cuda")
    torch.cuda.reset_peak_memory_stats()
    seconds = train.seconds_per_step(config, rates, steps=100, warm=10)
    tokens = config.batch * config.context
    peak = next((v for k, v in PEAK.items() if k in torch.cuda.get_device_name()), None)
    speed = tokens / seconds * model.flops_per_token(config.shape)
    used = f", {speed / peak:.0%} of this GPU's peak" if peak else ""
    memory = torch.cuda.max_memory_allocated() / 2**30
    name = torch.cuda.get_device_name()
    print(f"124m on {name}: {tokens / seconds:,.0f} tokens/s, {speed / 1e12:.0f} TFLOP/s{used}, peak memory {memory:.1f} GiB")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the first comparison, with few steps")
    quick = parser.parse_args().quick
    if torch.cuda.is_available():
        on_gpu()
        return
    print(
        f"\ntrainer on {torch.get_num_threads()} threads, PyTorch {torch.__version__}; compiling takes a minute or two",
        flush=True,
    )
    shape = {"layers": 6, "heads": 3, "width": 192, "context": 256, "vocabulary": 4096}
    compare("6 layers, 192 wide, batch 16", 3 if quick else 10, ("float32", "plain"), device="cpu", batch=16, **shape)
    if quick:
        return
    compare("nano", 30, ("float32", "plain"), device="cpu", batch=8)
    # compiling the larger ones takes minutes, so they are shown without
    for preset, batch, steps in (("small", 4, 3), ("124m", 2, 2), ("210m", 1, 2)):
        compare(f"{preset}, batch {batch}", steps, preset=preset, device="cpu", batch=batch, compile=False)


if __name__ == "__main__":
    main()
