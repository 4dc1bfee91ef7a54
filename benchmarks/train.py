"""Speed of the trainer, as ratios to a plain loop in the same run (`make bench`)."""

import argparse
import dataclasses
import time

import torch
import torch.nn.functional as F

from lastiterate import schedules, trainer
from lastiterate.trainer import model

PEAK = {"H200": 989e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "4090": 165e12}  # dense bfloat16 operations a second


def fused(q, k, v, causal=True):
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


def plain_loop(config, steps, warm=2):
    """Seconds of a step of a loop as one would write it first: fused attention, torch's default AdamW, a LambdaLR.

    In the config's dtype, compiled where the config says so, on the same device and threads.
    """
    written_out, model.attend = model.attend, fused
    network = trainer.GPT(config.shape).to(config.device)
    forward = torch.compile(network, dynamic=False) if config.compile else network
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    tokens = torch.from_numpy(trainer.corpus(config.corpus).train[0].copy())
    begun = 0.0
    for step in range(warm + steps):
        if step == warm:
            begun = time.perf_counter()
        places = torch.randint(len(tokens) - config.context - 1, (config.batch,))
        batch = torch.stack([tokens[i : i + config.context + 1].long() for i in places]).to(config.device)
        with torch.autocast(config.device, torch.bfloat16, enabled=config.dtype == "bfloat16"):
            loss = forward(batch[:, :-1], batch[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), config.clip)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad(set_to_none=True)
        loss.item()
    model.attend = written_out
    return (time.perf_counter() - begun) / steps


def compare(name, steps, equal=True, **options):
    """Print tokens/s, and ratios to the plain loop: in float32 eager and, where `equal`, in our dtype and compiled like ours."""
    config, rates = trainer.configure(schedules.constant(5000), eval_sequences=options["batch"], **options)
    ours, tokens = trainer.seconds_per_step(config, rates, steps), config.batch * config.context
    trainer.forget()
    how = f"{config.dtype}{', compiled' if config.compile else ', eager'}"
    said = f"{name}: {tokens / ours:,.0f} tokens/s ({how}): {{:.2f}} times a plain loop in float32, eager"
    first = dataclasses.replace(config, dtype="float32", compile=False)
    ratios = [plain_loop(first, steps) / ours]
    if equal and first != config:
        said += f", {{:.2f}} times one in {how}"
        ratios.append(plain_loop(config, steps) / ours)
    print(said.format(*ratios), flush=True)


def on_gpu(steps, **options):
    """Model-FLOP utilisation of the 124m preset, its peak memory, and the plain loop in bfloat16 and compiled like ours."""
    config, rates = trainer.configure(schedules.constant(5000), preset="124m", device="cuda", **options)
    torch.cuda.reset_peak_memory_stats()
    seconds, tokens = trainer.seconds_per_step(config, rates, steps=steps, warm=10), config.batch * config.context
    memory, name = torch.cuda.max_memory_allocated() / 2**30, torch.cuda.get_device_name()
    peak = next((v for k, v in PEAK.items() if k in name), None)
    speed = tokens / seconds * trainer.flops_per_token(config.shape)
    used = f", {speed / peak:.0%} of this GPU's peak" if peak else ""
    print(
        f"124m on {name}: {tokens / seconds:,.0f} tokens/s, {speed / 1e12:.0f} TFLOP/s{used}, peak memory {memory:.1f} GiB",
        flush=True,
    )
    trainer.forget()
    compare("124m, batch 50", min(steps, 20), preset="124m", device="cuda", batch=50)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="only the first comparison, with few steps")
    quick = parser.parse_args().quick
    if torch.cuda.is_available():
        on_gpu(20 if quick else 100)
        return
    print(
        f"\ntrainer on {torch.get_num_threads()} threads, PyTorch {torch.__version__}; compiling takes a minute or two",
        flush=True,
    )
    shape = {"layers": 6, "heads": 3, "width": 192, "context": 256, "vocabulary": 4096}
    compare("6 layers, 192 wide, batch 16", 3 if quick else 8, device="cpu", batch=16, **shape)
    if quick:
        return
    compare("nano", 30, device="cpu", batch=8)
    # compiling the larger ones takes minutes, so they are shown without
    for preset, batch, steps in (("small", 4, 3), ("124m", 2, 2)):
        compare(f"{preset}, batch {batch}", steps, False, preset=preset, device="cpu", batch=batch, compile=False)


if __name__ == "__main__":
    main()
