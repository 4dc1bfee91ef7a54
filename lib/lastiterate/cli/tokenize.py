"""`lastiterate tokenize`: tokens of a Hugging Face data set, into a folder that `lastiterate train --corpus` takes."""

import argparse

HELP = "tokens of a Hugging Face data set, to train on"
EXAMPLE = "lastiterate tokenize fineweb-edu tokens/ --tokens 1e9"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", help="slimpajama-6b, fineweb-edu, openwebtext, or path:configuration on the hub")
    parser.add_argument("folder", help="called again with the same one, it goes on where it was stopped")
    parser.add_argument("--revision", help="commit of the data set on the hub")
    parser.add_argument("--encoding", default="gpt2", help="a tiktoken encoding; default %(default)s")
    parser.add_argument("--tokens", type=float, help="stop after about so many")
    parser.add_argument("--shard-tokens", type=int, default=100_000_000, help="of a file; default %(default)s")


def run(args: argparse.Namespace) -> int:
    from lastiterate.trainer import corpora

    corpora.tokenized(args.folder, args.encoding, args.tokens, args.shard_tokens)  # before the network is asked
    documents = corpora.hub(args.dataset, revision=args.revision)
    about = f"{args.dataset} {args.revision or ''}".strip()
    n = corpora.tokenize(documents, args.folder, args.encoding, args.tokens, args.shard_tokens, about)
    print(f"{n:,} tokens in {args.folder}: train with --corpus {args.folder}")
    return 0
